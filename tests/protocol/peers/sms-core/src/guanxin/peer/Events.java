package guanxin.peer;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** Writes events, one a line, whole lines only, in the order they are said. */
final class Events {
    private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    private Events() {}

    static synchronized void say(String event, String endpoint, Map<String, ?> more) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("event", event);
        line.put("endpoint", endpoint);
        line.putAll(more);
        OUT.println(GSON.toJson(line));
        OUT.flush();
    }
}
