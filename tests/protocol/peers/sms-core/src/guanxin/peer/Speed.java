package guanxin.peer;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.zx.sms.BaseMessage;
import com.zx.sms.common.GlobalConstance;
import com.zx.sms.connect.manager.EndpointEntity;
import com.zx.sms.connect.manager.EndpointManager;
import com.zx.sms.connect.manager.cmpp.CMPPCodecChannelInitializer;
import com.zx.sms.connect.manager.sgip.SgipCodecChannelInitializer;
import com.zx.sms.connect.manager.smgp.SMGPCodecChannelInitializer;
import com.zx.sms.connect.manager.smpp.SMPPClientEndpointEntity;
import com.zx.sms.connect.manager.smpp.SMPPCodecChannelInitializer;
import com.zx.sms.session.cmpp.SessionState;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.embedded.EmbeddedChannel;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayDeque;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;

/**
 * How fast the library is, for the benchmarks. One order a line on standard input, one answer a line on standard output:
 * {"do": "codec", "protocol", "submit": hex, "report": hex} gives microseconds a PDU; {"do": "pump", ...} binds, submits
 * "count" messages with "window" of them unanswered, and gives the seconds of the second half: the first warms up.
 */
public final class Speed {
    private static final int WARM_UP = 60_000;
    private static final int ROUNDS = 200;
    private static final int CALLS = 100;

    private Speed() {}

    public static void main(String[] arguments) throws Exception {
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            JsonObject order = JsonParser.parseString(line).getAsJsonObject();
            Map<String, Object> told = order.get("do").getAsString().equals("codec") ? codec(order) : pump(order);
            Events.say("speed", order.get("protocol").getAsString(), told);
        }
        System.exit(0);
    }

    private static Map<String, Object> codec(JsonObject order) throws Exception {
        EmbeddedChannel channel = new EmbeddedChannel();
        pipeline(order.get("protocol").getAsString(), channel.pipeline());
        byte[] submit = HexFormat.of().parseHex(order.get("submit").getAsString());
        byte[] report = HexFormat.of().parseHex(order.get("report").getAsString());
        Object message = read(channel, submit);
        Map<String, Object> told = new TreeMap<>();
        told.put("submit", best(() -> {
            channel.writeOutbound(message);
            ByteBuf written = channel.readOutbound();
            written.release();
        }));
        told.put("read submit", best(() -> read(channel, submit)));
        told.put("report", best(() -> read(channel, report)));
        return told;
    }

    private static Object read(EmbeddedChannel channel, byte[] frame) {
        channel.writeInbound(Unpooled.wrappedBuffer(frame));
        Object found = channel.readInbound();
        if (found == null) {
            throw new IllegalStateException("the library read nothing");
        }
        return found;
    }

    private static void pipeline(String protocol, ChannelPipeline pipeline) {
        switch (protocol) {
            case "cmpp20" -> pipeline.addLast(CMPPCodecChannelInitializer.pipeName(), new CMPPCodecChannelInitializer(0x20));
            case "cmpp30" -> pipeline.addLast(CMPPCodecChannelInitializer.pipeName(), new CMPPCodecChannelInitializer(0x30));
            case "sgip12" -> pipeline.addLast(SgipCodecChannelInitializer.pipeName(), new SgipCodecChannelInitializer());
            case "smgp30" -> pipeline.addLast(SMGPCodecChannelInitializer.pipeName(), new SMGPCodecChannelInitializer(0x30));
            case "smpp34" -> pipeline.addLast(SMPPCodecChannelInitializer.pipeName(),
                    new SMPPCodecChannelInitializer(new SMPPClientEndpointEntity()));
            default -> throw new IllegalArgumentException("no such protocol");
        }
    }

    /** Microseconds of one call: the quickest of many rounds so short that most are not interrupted, after a warm-up. */
    private static double best(Runnable work) {
        for (int call = 0; call < WARM_UP; call++) {
            work.run();
        }
        double quickest = Double.MAX_VALUE;
        for (int round = 0; round < ROUNDS; round++) {
            long begun = System.nanoTime();
            for (int call = 0; call < CALLS; call++) {
                work.run();
            }
            quickest = Math.min(quickest, (System.nanoTime() - begun) / 1e3 / CALLS);
        }
        return quickest;
    }

    private static Map<String, Object> pump(JsonObject order) throws Exception {
        int count = order.get("count").getAsInt();
        ArrayDeque<BaseMessage> waiting = new ArrayDeque<>(count);
        for (int number = 0; number < count; number++) {
            waiting.add((BaseMessage) Build.of(order.getAsJsonObject("message")));
        }
        Pump pump = new Pump(waiting, order.get("window").getAsInt());
        EndpointEntity client = Entities.client(order, "pump-" + order.get("protocol").getAsString(),
                pipeline -> pipeline.addAfter(GlobalConstance.codecName, "pump", pump));
        client.setPort(order.get("port").getAsInt());
        EndpointManager.INS.addEndpointEntity(client);
        client.getSingletonConnector().open();
        pump.done.await();
        EndpointManager.INS.remove(client.getId());
        return Map.of("seconds", (pump.ended - pump.begun) / 1e9);
    }

    /** Keeps its window full until everything is answered. */
    private static final class Pump extends ChannelInboundHandlerAdapter {
        private final CountDownLatch done = new CountDownLatch(1);
        private final ArrayDeque<BaseMessage> waiting;
        private final int window;
        private final int half;
        private int left;
        private long begun;
        private long ended;

        Pump(ArrayDeque<BaseMessage> waiting, int window) {
            this.waiting = waiting;
            this.window = window;
            this.left = waiting.size();
            this.half = left / 2;
        }

        @Override
        public void userEventTriggered(ChannelHandlerContext context, Object event) throws Exception {
            if (event == SessionState.Connect) {
                for (int place = 0; place < window && !waiting.isEmpty(); place++) {
                    context.channel().write(waiting.poll());
                }
                context.channel().flush();
            }
            context.fireUserEventTriggered(event);
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) throws Exception {
            context.fireChannelRead(message);
            if (!message.getClass().getSimpleName().startsWith("Submit")
                    && !message.getClass().getSimpleName().contains("SubmitResp")) {
                return;
            }
            if (--left == half) {
                begun = System.nanoTime();
            }
            if (left == 0) {
                ended = System.nanoTime();
                context.channel().close();
                done.countDown();
            } else if (!waiting.isEmpty()) {
                context.channel().write(waiting.poll());
            }
        }

        @Override
        public void channelReadComplete(ChannelHandlerContext context) throws Exception {
            context.channel().flush();
            context.fireChannelReadComplete();
        }
    }
}
