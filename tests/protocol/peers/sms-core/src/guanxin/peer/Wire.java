package guanxin.peer;

import com.zx.sms.BaseMessage;
import com.zx.sms.LongSMSMessage;
import com.zx.sms.common.GlobalConstance;
import com.zx.sms.handler.api.AbstractBusinessHandler;
import com.zx.sms.handler.api.BusinessHandlerInterface;
import com.zx.sms.session.cmpp.SessionState;
import io.netty.channel.ChannelHandler.Sharable;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Right behind the codec: tells every PDU that arrives, and has it answered. */
final class Wire extends ChannelInboundHandlerAdapter {
    private final String endpoint;
    private final Behaviour behaviour;

    Wire(String endpoint, Behaviour behaviour) {
        this.endpoint = endpoint;
        this.behaviour = behaviour;
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) throws Exception {
        if (message instanceof BaseMessage) {
            Map<String, Object> told = new LinkedHashMap<>();
            told.put("pdu", message.getClass().getSimpleName());
            told.put("fields", Describe.of(message));
            Events.say("got", endpoint, told);
            behaviour.react(context.channel(), (BaseMessage) message);
        }
        context.fireChannelRead(message);
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) throws Exception {
        if (event == SessionState.Connect) {
            Events.say("bound", endpoint, Map.of());
        }
        context.fireUserEventTriggered(event);
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) throws Exception {
        Events.say("closed", endpoint, Map.of());
        context.fireChannelInactive();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) throws Exception {
        Events.say("fault", endpoint, Map.of("detail", String.valueOf(cause)));
        context.fireExceptionCaught(cause);
    }

    /** A server's: the wire cannot be tapped before the bind, since only then the account's handlers are added. */
    static List<BusinessHandlerInterface> handlers(String endpoint, Behaviour behaviour) {
        return List.of(new Tap(endpoint, behaviour), new Teller(endpoint));
    }

    static List<BusinessHandlerInterface> tellers(String endpoint) {
        return List.of(new Teller(endpoint));
    }

    /** Puts a wire behind the codec and goes. */
    @Sharable
    private static final class Tap extends AbstractBusinessHandler {
        private final String endpoint;
        private final Behaviour behaviour;

        Tap(String endpoint, Behaviour behaviour) {
            this.endpoint = endpoint;
            this.behaviour = behaviour;
        }

        @Override
        public void handlerAdded(ChannelHandlerContext context) {
            context.pipeline().addAfter(GlobalConstance.codecName, "wire", new Wire(endpoint, behaviour));
            context.pipeline().remove(this);
        }

        @Override
        public String name() {
            return "tap";
        }
    }

    /** At the far end of the pipeline: long messages are joined there. */
    @Sharable
    private static final class Teller extends AbstractBusinessHandler {
        private final String endpoint;

        Teller(String endpoint) {
            this.endpoint = endpoint;
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) throws Exception {
            if (message instanceof LongSMSMessage<?> whole && !whole.isReport()) {
                Events.say("whole", endpoint, Map.of("text", Describe.text(message)));
            }
            context.fireChannelRead(message);
        }

        @Override
        public String name() {
            return "teller";
        }
    }
}
