package guanxin.peer;

import com.chinamobile.cmos.sms.AbstractSmsDcs;
import com.zx.sms.BaseMessage;
import com.zx.sms.codec.cmpp.msg.CmppReportRequestMessage;
import com.zx.sms.codec.cmpp.msg.Header;
import com.zx.sms.codec.smgp.msg.SMGPReportData;
import com.zx.sms.codec.smpp.Address;
import com.zx.sms.common.util.DefaultSequenceNumberUtil;
import com.zx.sms.common.util.MsgId;
import com.zx.sms.common.util.SequenceNumber;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;

/** A message as plain values, from its getters: names are the library's own, ids and octets are hexadecimal. */
final class Describe {
    private Describe() {}

    static Map<String, Object> of(Object message) {
        Map<String, Object> values = new TreeMap<>();
        for (Method method : message.getClass().getMethods()) {
            String name = property(method);
            if (name.isEmpty()) {
                continue;
            }
            try {
                Object value = plain(method.invoke(message));
                if (value != null) {
                    values.put(name, value);
                }
            } catch (InvocationTargetException unset) {
                values.put(name, "unreadable: " + unset.getCause());
            } catch (IllegalAccessException impossible) {
                throw new IllegalStateException(impossible);
            }
        }
        return values;
    }

    static String text(Object message) throws ReflectiveOperationException {
        return (String) message.getClass().getMethod("getMsgContent").invoke(message);
    }

    private static String property(Method method) {
        String name = method.getName();
        boolean reads = method.getParameterCount() == 0 && method.getDeclaringClass() != Object.class;
        if (!reads || name.equals("getRequest") || name.equals("getMsgContent") || name.equals("getSmsMessage")) {
            return ""; // a single part's text may end in the middle of a character
        }
        if (name.startsWith("get")) {
            return name.substring(3);
        }
        return name.startsWith("is") ? name : ""; // "isReport" and "getReport" are two things
    }

    private static Object plain(Object value) {
        if (value instanceof String || value instanceof Number || value instanceof Boolean || value instanceof String[]) {
            return value;
        }
        if (value instanceof byte[] octets) {
            return HexFormat.of().formatHex(octets);
        }
        if (value instanceof MsgId id) {
            return id.toHexString(true);
        }
        if (value instanceof com.zx.sms.codec.smgp.msg.MsgId id) {
            return id.toHexString(true);
        }
        if (value instanceof SequenceNumber number) {
            return HexFormat.of().formatHex(DefaultSequenceNumberUtil.sequenceN2Bytes(number));
        }
        if (value instanceof AbstractSmsDcs<?> coding) {
            return coding.getValue() & 0xff;
        }
        boolean inner = value instanceof Header || value instanceof CmppReportRequestMessage
                || value instanceof SMGPReportData || value instanceof Address;
        return inner && !(value instanceof BaseMessage) ? of(value) : null;
    }
}
