package guanxin.peer;

import com.chinamobile.cmos.sms.SMGPSmsDcs;
import com.chinamobile.cmos.sms.SgipSmsDcs;
import com.chinamobile.cmos.sms.SmsDcs;
import com.chinamobile.cmos.sms.SmsMessage;
import com.chinamobile.cmos.sms.SmsTextMessage;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.zx.sms.codec.smpp.Address;
import com.zx.sms.codec.smpp.DefaultSmppSmsDcs;
import com.zx.sms.common.util.DefaultMsgIdUtil;
import com.zx.sms.common.util.DefaultSequenceNumberUtil;
import com.zx.sms.common.util.MsgId;
import com.zx.sms.common.util.SequenceNumber;
import com.zx.sms.codec.smgp.util.SMGPMsgIdUtil;
import java.lang.reflect.Method;
import java.util.HexFormat;
import java.util.Map;

/**
 * The other way: a message from {"pdu": class name, field: value}. Values go through the library's setters; where those
 * are overloaded, the one whose parameter a JSON value can become is taken.
 */
final class Build {
    private static final String[] PACKAGES = {
        "com.zx.sms.codec.cmpp.msg.", "com.zx.sms.codec.sgip12.msg.", "com.zx.sms.codec.smgp.msg.",
        "com.zx.sms.codec.smpp.msg.",
    };

    private Build() {}

    static Object of(JsonObject wanted) throws Exception {
        Object made = type(wanted.get("pdu").getAsString()).getConstructor().newInstance();
        for (Map.Entry<String, JsonElement> field : wanted.entrySet()) {
            if (!field.getKey().equals("pdu")) {
                set(made, "set" + field.getKey(), field.getValue());
            }
        }
        return made;
    }

    private static Class<?> type(String name) throws ClassNotFoundException {
        for (String prefix : PACKAGES) {
            try {
                return Class.forName(prefix + name);
            } catch (ClassNotFoundException elsewhere) {
                continue;
            }
        }
        throw new ClassNotFoundException(name);
    }

    private static void set(Object made, String setter, JsonElement value) throws Exception {
        for (Method method : made.getClass().getMethods()) {
            if (method.getName().equals(setter) && method.getParameterCount() == 1 && !method.isBridge()) {
                Object converted = converted(value, method.getParameterTypes()[0]);
                if (converted != null) {
                    method.invoke(made, converted);
                    return;
                }
            }
        }
        throw new NoSuchMethodException(made.getClass().getSimpleName() + "." + setter);
    }

    private static Object converted(JsonElement value, Class<?> type) throws Exception {
        if (value.isJsonObject()) {
            return inner(value.getAsJsonObject(), type);
        }
        if (value.isJsonArray()) {
            return type == String[].class
                    ? value.getAsJsonArray().asList().stream().map(JsonElement::getAsString).toArray(String[]::new)
                    : null;
        }
        if (type == String.class) {
            return value.getAsString();
        }
        if (type == boolean.class) {
            return value.getAsBoolean();
        }
        if (type == MsgId.class) {
            return DefaultMsgIdUtil.bytes2MsgId(HexFormat.of().parseHex(value.getAsString()));
        }
        if (type == com.zx.sms.codec.smgp.msg.MsgId.class) {
            return SMGPMsgIdUtil.bytes2MsgId(HexFormat.of().parseHex(value.getAsString()));
        }
        if (type == SequenceNumber.class) {
            return DefaultSequenceNumberUtil.bytes2SequenceN(HexFormat.of().parseHex(value.getAsString()));
        }
        return value.getAsJsonPrimitive().isNumber() ? number(value, type) : null;
    }

    private static Object number(JsonElement value, Class<?> type) {
        if (type == byte.class) {
            return (byte) value.getAsInt();
        }
        if (type == short.class) {
            return (short) value.getAsInt();
        }
        if (type == int.class) {
            return value.getAsInt();
        }
        return type == long.class ? value.getAsLong() : null;
    }

    private static Object inner(JsonObject value, Class<?> type) throws Exception {
        if (type == SmsMessage.class) {
            return text(value);
        }
        if (type == Address.class) {
            return new Address(value.get("ton").getAsByte(), value.get("npi").getAsByte(),
                    value.get("address").getAsString());
        }
        return value.has("pdu") && type.getSimpleName().equals(value.get("pdu").getAsString()) ? of(value) : null;
    }

    private static SmsMessage text(JsonObject value) {
        byte coding = value.get("coding").getAsByte();
        String text = value.get("text").getAsString();
        return switch (value.get("family").getAsString()) {
            case "sgip12" -> new SmsTextMessage(text, new SgipSmsDcs(coding));
            case "smgp30" -> new SmsTextMessage(text, new SMGPSmsDcs(coding));
            case "smpp34" -> new SmsTextMessage(text, new DefaultSmppSmsDcs(coding));
            default -> new SmsTextMessage(text, new SmsDcs(coding));
        };
    }
}
