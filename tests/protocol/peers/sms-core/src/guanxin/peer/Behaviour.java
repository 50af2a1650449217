package guanxin.peer;

import com.google.gson.JsonObject;
import com.zx.sms.BaseMessage;
import com.zx.sms.codec.cmpp.msg.CmppCancelRequestMessage;
import com.zx.sms.codec.cmpp.msg.CmppCancelResponseMessage;
import com.zx.sms.codec.cmpp.msg.CmppDeliverRequestMessage;
import com.zx.sms.codec.cmpp.msg.CmppDeliverResponseMessage;
import com.zx.sms.codec.cmpp.msg.CmppQueryRequestMessage;
import com.zx.sms.codec.cmpp.msg.CmppQueryResponseMessage;
import com.zx.sms.codec.cmpp.msg.CmppSubmitRequestMessage;
import com.zx.sms.codec.cmpp.msg.CmppSubmitResponseMessage;
import com.zx.sms.codec.sgip12.msg.SgipDeliverRequestMessage;
import com.zx.sms.codec.sgip12.msg.SgipDeliverResponseMessage;
import com.zx.sms.codec.sgip12.msg.SgipReportRequestMessage;
import com.zx.sms.codec.sgip12.msg.SgipReportResponseMessage;
import com.zx.sms.codec.sgip12.msg.SgipSubmitRequestMessage;
import com.zx.sms.codec.sgip12.msg.SgipSubmitResponseMessage;
import com.zx.sms.codec.smgp.msg.SMGPDeliverMessage;
import com.zx.sms.codec.smgp.msg.SMGPDeliverRespMessage;
import com.zx.sms.codec.smgp.msg.SMGPSubmitMessage;
import com.zx.sms.codec.smgp.msg.SMGPSubmitRespMessage;
import com.zx.sms.codec.smpp.msg.DeliverSm;
import com.zx.sms.codec.smpp.msg.DeliverSmResp;
import com.zx.sms.codec.smpp.msg.QuerySm;
import com.zx.sms.codec.smpp.msg.QuerySmResp;
import com.zx.sms.codec.smpp.msg.SubmitSm;
import com.zx.sms.codec.smpp.msg.SubmitSmResp;
import com.zx.sms.common.util.MsgId;
import io.netty.channel.Channel;
import java.util.ArrayDeque;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.atomic.AtomicInteger;

/** What an endpoint answers: positively at once, unless told to hold its answers or to give another status. */
final class Behaviour {
    private static final AtomicInteger SERIAL = new AtomicInteger(1);
    private final String endpoint;
    private final Queue<Runnable> held = new ArrayDeque<>();
    private volatile int status;
    private boolean hold;

    Behaviour(String endpoint) {
        this.endpoint = endpoint;
    }

    void answerWith(JsonObject order) {
        status = order.has("status") ? order.get("status").getAsInt() : 0;
        synchronized (held) {
            hold = order.has("hold") && order.get("hold").getAsBoolean();
        }
    }

    void release() {
        synchronized (held) {
            hold = false;
            held.forEach(Runnable::run);
            held.clear();
        }
    }

    void react(Channel channel, BaseMessage request) throws Exception {
        BaseMessage answer = answer(request);
        if (answer == null) {
            return;
        }
        synchronized (held) {
            if (hold) {
                held.add(() -> give(channel, answer));
                return;
            }
        }
        give(channel, answer);
    }

    private void give(Channel channel, BaseMessage answer) {
        Events.say("answered", endpoint,
                Map.of("pdu", answer.getClass().getSimpleName(), "fields", Describe.of(answer)));
        channel.writeAndFlush(answer);
    }

    private BaseMessage answer(BaseMessage request) throws Exception {
        if (request instanceof CmppSubmitRequestMessage submit) {
            CmppSubmitResponseMessage answer = new CmppSubmitResponseMessage(submit.getHeader().getSequenceId());
            answer.setMsgId(new MsgId(SERIAL.getAndIncrement() & 0x3fffff));
            answer.setResult(status);
            return answer;
        }
        if (request instanceof CmppDeliverRequestMessage deliver) {
            CmppDeliverResponseMessage answer = new CmppDeliverResponseMessage(deliver.getHeader().getSequenceId());
            answer.setMsgId(deliver.getMsgId());
            answer.setResult(status);
            return answer;
        }
        if (request instanceof CmppQueryRequestMessage query) {
            CmppQueryResponseMessage answer = new CmppQueryResponseMessage(query.getHeader().getSequenceId());
            answer.setTime(query.getTime());
            answer.setQueryType(query.getQueryType());
            answer.setQueryCode(query.getQueryCode());
            answer.setMtTLMsg(11);
            answer.setMtScs(7);
            return answer;
        }
        if (request instanceof CmppCancelRequestMessage cancel) {
            CmppCancelResponseMessage answer = new CmppCancelResponseMessage(cancel.getHeader().getSequenceId());
            answer.setSuccessId(status);
            return answer;
        }
        return request instanceof com.zx.sms.codec.sgip12.msg.SgipDefaultMessage ? sgip(request) : others(request);
    }

    private BaseMessage sgip(BaseMessage request) {
        if (request instanceof SgipSubmitRequestMessage submit) {
            SgipSubmitResponseMessage answer = new SgipSubmitResponseMessage(submit.getHeader());
            answer.setTimestamp(submit.getTimestamp());
            answer.setResult((short) status);
            return answer;
        }
        if (request instanceof SgipDeliverRequestMessage deliver) {
            SgipDeliverResponseMessage answer = new SgipDeliverResponseMessage(deliver.getHeader());
            answer.setTimestamp(deliver.getTimestamp());
            answer.setResult((short) status);
            return answer;
        }
        if (request instanceof SgipReportRequestMessage report) {
            SgipReportResponseMessage answer = new SgipReportResponseMessage(report.getHeader());
            answer.setTimestamp(report.getTimestamp());
            answer.setResult((short) status);
            return answer;
        }
        return null;
    }

    private BaseMessage others(BaseMessage request) throws Exception {
        if (request instanceof SMGPSubmitMessage submit) {
            SMGPSubmitRespMessage answer = new SMGPSubmitRespMessage();
            answer.setSequenceNo(submit.getSequenceNo());
            answer.setMsgId(new com.zx.sms.codec.smgp.msg.MsgId(SERIAL.getAndIncrement() % 1000000));
            answer.setStatus(status);
            return answer;
        }
        if (request instanceof SMGPDeliverMessage deliver) {
            SMGPDeliverRespMessage answer = new SMGPDeliverRespMessage();
            answer.setSequenceNo(deliver.getSequenceNo());
            answer.setMsgId(deliver.getMsgId());
            answer.setStatus(status);
            return answer;
        }
        if (request instanceof SubmitSm submit) {
            SubmitSmResp answer = submit.createResponse();
            answer.setMessageId(Integer.toHexString(0x1000 + SERIAL.getAndIncrement()));
            answer.setCommandStatus(status);
            return answer;
        }
        if (request instanceof DeliverSm deliver) {
            DeliverSmResp answer = deliver.createResponse();
            answer.setCommandStatus(status);
            return answer;
        }
        if (request instanceof QuerySm query) {
            QuerySmResp answer = query.createResponse();
            answer.setMessageId(query.getMessageId());
            answer.setFinalDate("");
            answer.setMessageState((byte) 2);
            return answer;
        }
        return null;
    }
}
