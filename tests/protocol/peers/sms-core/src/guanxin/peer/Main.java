package guanxin.peer;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.zx.sms.BaseMessage;
import com.zx.sms.common.GlobalConstance;
import com.zx.sms.connect.manager.EndpointConnector;
import com.zx.sms.connect.manager.EndpointEntity;
import com.zx.sms.connect.manager.EndpointManager;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Orders as JSON lines on standard input, events as JSON lines on standard output. One process holds any number of
 * named endpoints of all protocols: starting a JVM for each test would cost a second apiece.
 */
public final class Main {
    private static final Map<String, Endpoint> ENDPOINTS = new ConcurrentHashMap<>();

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Events.say("ready", "peer", Map.of());
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            JsonObject order = JsonParser.parseString(line).getAsJsonObject();
            String name = order.get("endpoint").getAsString();
            try {
                obey(order, name);
            } catch (Exception fault) {
                Events.say("fault", name, Map.of("detail", String.valueOf(fault)));
            }
        }
        System.exit(0); // Netty's threads are not daemons
    }

    private static void obey(JsonObject order, String name) throws Exception {
        switch (order.get("do").getAsString()) {
            case "listen" -> listen(order, name);
            case "connect" -> connect(order, name);
            case "send" -> known(name).send((BaseMessage) Build.of(order.getAsJsonObject("message")));
            case "answer" -> {
                known(name).behaviour.answerWith(order);
                Events.say("answering", name, Map.of()); // what comes on the wire from now on is answered so
            }
            case "release" -> known(name).behaviour.release();
            case "cut" -> known(name).channel().close();
            case "close" -> ENDPOINTS.remove(name).close();
            default -> throw new IllegalArgumentException("no such order");
        }
    }

    private static Endpoint known(String name) {
        Endpoint found = ENDPOINTS.get(name);
        if (found == null) {
            throw new IllegalArgumentException("no such endpoint");
        }
        return found;
    }

    private static void listen(JsonObject order, String name) throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        Behaviour behaviour = new Behaviour(name);
        EndpointEntity child = Entities.child(order, name + "-child");
        child.setBusinessHandlerSet(Wire.handlers(name, behaviour));
        EndpointEntity server = Entities.server(order, name, child);
        server.setPort(port);
        ENDPOINTS.put(name, new Endpoint(server, child, behaviour));
        EndpointManager.INS.openEndpoint(server);
        Events.say("listening", name, Map.of("port", port));
    }

    private static void connect(JsonObject order, String name) throws Exception {
        Behaviour behaviour = new Behaviour(name);
        EndpointEntity client = Entities.client(order, name,
                pipeline -> pipeline.addAfter(GlobalConstance.codecName, "wire", new Wire(name, behaviour)));
        client.setPort(order.get("port").getAsInt());
        client.setBusinessHandlerSet(Wire.tellers(name));
        ENDPOINTS.put(name, new Endpoint(client, client, behaviour));
        EndpointManager.INS.addEndpointEntity(client);
        ChannelFuture connecting = client.getSingletonConnector().open();
        connecting.addListener(done -> {
            if (!done.isSuccess()) {
                Events.say("unreachable", name, Map.of());
            }
        });
    }

    /** What was opened, and the entity whose channels carry traffic (a server's is its child's). */
    private record Endpoint(EndpointEntity opened, EndpointEntity traffic, Behaviour behaviour) {
        Channel channel() {
            EndpointConnector<?> connector = traffic.getSingletonConnector();
            Channel channel = connector.fetch();
            if (channel == null) {
                throw new IllegalStateException("no bound session");
            }
            return channel;
        }

        void send(BaseMessage message) {
            channel().writeAndFlush(message).addListener(done -> {
                if (!done.isSuccess()) {
                    Events.say("fault", opened.getId(), Map.of("detail", String.valueOf(done.cause())));
                }
            });
        }

        void close() {
            EndpointManager.INS.remove(opened.getId());
            if (traffic != opened) {
                EndpointManager.INS.remove(traffic.getId());
            }
        }
    }
}
