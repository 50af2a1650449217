package guanxin.peer;

import com.google.gson.JsonObject;
import com.zx.sms.connect.manager.EndpointEntity;
import com.zx.sms.connect.manager.EndpointEntity.ChannelType;
import com.zx.sms.connect.manager.EndpointEntity.SupportLongMessage;
import com.zx.sms.connect.manager.ServerServerEndpoint;
import com.zx.sms.connect.manager.cmpp.CMPPEndpointEntity;
import com.zx.sms.connect.manager.cmpp.CMPPServerChildEndpointEntity;
import com.zx.sms.connect.manager.cmpp.CMPPServerEndpointEntity;
import com.zx.sms.connect.manager.sgip.SgipEndpointEntity;
import com.zx.sms.connect.manager.sgip.SgipServerChildEndpointEntity;
import com.zx.sms.connect.manager.sgip.SgipServerEndpointEntity;
import com.zx.sms.connect.manager.smgp.SMGPEndpointEntity;
import com.zx.sms.connect.manager.smgp.SMGPServerChildEndpointEntity;
import com.zx.sms.connect.manager.smgp.SMGPServerEndpointEntity;
import com.zx.sms.connect.manager.smpp.SMPPEndpointEntity;
import com.zx.sms.connect.manager.smpp.SMPPServerChildEndpointEntity;
import com.zx.sms.connect.manager.smpp.SMPPServerEndpointEntity;
import io.netty.channel.ChannelPipeline;
import java.util.function.Consumer;

/** The library's endpoint of an order: protocol, account, password, mode, window. */
final class Entities {
    private Entities() {}

    /** {@code tap} sees the pipeline before the connection is up, so that no answer to the bind passes it by. */
    static EndpointEntity client(JsonObject order, String name, Consumer<ChannelPipeline> tap) {
        EndpointEntity made = switch (protocol(order)) {
            case "cmpp20", "cmpp30" -> cmpp(Tapped.cmpp(tap), order);
            case "sgip12" -> sgip(Tapped.sgip(tap), order);
            case "smgp30" -> smgp(Tapped.smgp(tap), order);
            case "smpp34" -> smpp(Tapped.smpp(tap), order);
            default -> throw new IllegalArgumentException("no such protocol");
        };
        return common(made, order, name);
    }

    static EndpointEntity child(JsonObject order, String name) {
        EndpointEntity made = switch (protocol(order)) {
            case "cmpp20", "cmpp30" -> cmpp(new CMPPServerChildEndpointEntity(), order);
            case "sgip12" -> sgip(new SgipServerChildEndpointEntity(), order);
            case "smgp30" -> smgp(new SMGPServerChildEndpointEntity(), order);
            case "smpp34" -> smpp(new SMPPServerChildEndpointEntity(), order);
            default -> throw new IllegalArgumentException("no such protocol");
        };
        return common(made, order, name);
    }

    static EndpointEntity server(JsonObject order, String name, EndpointEntity child) {
        EndpointEntity made = switch (protocol(order)) {
            case "cmpp20", "cmpp30" -> new CMPPServerEndpointEntity();
            case "sgip12" -> new SgipServerEndpointEntity();
            case "smgp30" -> new SMGPServerEndpointEntity();
            case "smpp34" -> new SMPPServerEndpointEntity();
            default -> throw new IllegalArgumentException("no such protocol");
        };
        ((ServerServerEndpoint) made).addchild(child);
        made.setId(name);
        made.setHost("127.0.0.1");
        return made;
    }

    private static String protocol(JsonObject order) {
        return order.get("protocol").getAsString();
    }

    private static EndpointEntity common(EndpointEntity made, JsonObject order, String name) {
        made.setId(name);
        made.setHost("127.0.0.1");
        made.setMaxChannels((short) (order.has("sessions") ? order.get("sessions").getAsInt() : 1));
        made.setReSendFailMsg(false);
        made.setRetryWaitTimeSec((short) 30);
        made.setIdleTimeSec((short) 60);
        made.setSupportLongmsg(SupportLongMessage.BOTH);
        if (order.has("window")) {
            made.setWindow(order.get("window").getAsInt());
        }
        String mode = order.has("mode") ? order.get("mode").getAsString() : "transceiver";
        made.setChannelType(switch (mode) {
            case "transmitter" -> ChannelType.DOWN;
            case "receiver" -> ChannelType.UP;
            default -> ChannelType.DUPLEX;
        });
        return made;
    }

    private static EndpointEntity cmpp(CMPPEndpointEntity made, JsonObject order) {
        made.setUserName(order.get("account").getAsString());
        made.setPassword(order.get("password").getAsString());
        made.setVersion((short) (protocol(order).equals("cmpp20") ? 0x20 : 0x30));
        made.setGroupName("test");
        return made;
    }

    private static EndpointEntity sgip(SgipEndpointEntity made, JsonObject order) {
        made.setLoginName(order.get("account").getAsString());
        made.setLoginPassowrd(order.get("password").getAsString());
        made.setNodeId(order.has("node") ? order.get("node").getAsLong() : 0);
        return made;
    }

    private static EndpointEntity smgp(SMGPEndpointEntity made, JsonObject order) {
        made.setClientID(order.get("account").getAsString());
        made.setPassword(order.get("password").getAsString());
        made.setClientVersion((byte) 0x30);
        return made;
    }

    private static EndpointEntity smpp(SMPPEndpointEntity made, JsonObject order) {
        made.setSystemId(order.get("account").getAsString());
        made.setPassword(order.get("password").getAsString());
        made.setInterfaceVersion((byte) 0x34);
        return made;
    }
}
