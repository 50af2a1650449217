package guanxin.peer;

import com.zx.sms.connect.manager.cmpp.CMPPClientEndpointConnector;
import com.zx.sms.connect.manager.cmpp.CMPPClientEndpointEntity;
import com.zx.sms.connect.manager.sgip.SgipClientEndpointConnector;
import com.zx.sms.connect.manager.sgip.SgipClientEndpointEntity;
import com.zx.sms.connect.manager.smgp.SMGPClientEndpointConnector;
import com.zx.sms.connect.manager.smgp.SMGPClientEndpointEntity;
import com.zx.sms.connect.manager.smpp.SMPPClientEndpointConnector;
import com.zx.sms.connect.manager.smpp.SMPPClientEndpointEntity;
import io.netty.channel.ChannelPipeline;
import java.util.function.Consumer;

/** The library's clients, with a look at the pipeline as soon as it stands. */
final class Tapped {
    private Tapped() {}

    static CMPPClientEndpointEntity cmpp(Consumer<ChannelPipeline> tap) {
        return new CMPPClientEndpointEntity() {
            @Override
            @SuppressWarnings("unchecked")
            protected CMPPClientEndpointConnector buildConnector() {
                return new CMPPClientEndpointConnector(this) {
                    @Override
                    protected void doinitPipeLine(ChannelPipeline pipeline) {
                        super.doinitPipeLine(pipeline);
                        tap.accept(pipeline);
                    }
                };
            }
        };
    }

    static SgipClientEndpointEntity sgip(Consumer<ChannelPipeline> tap) {
        return new SgipClientEndpointEntity() {
            @Override
            @SuppressWarnings("unchecked")
            protected SgipClientEndpointConnector buildConnector() {
                return new SgipClientEndpointConnector(this) {
                    @Override
                    protected void doinitPipeLine(ChannelPipeline pipeline) {
                        super.doinitPipeLine(pipeline);
                        tap.accept(pipeline);
                    }
                };
            }
        };
    }

    static SMGPClientEndpointEntity smgp(Consumer<ChannelPipeline> tap) {
        return new SMGPClientEndpointEntity() {
            @Override
            @SuppressWarnings("unchecked")
            protected SMGPClientEndpointConnector buildConnector() {
                return new SMGPClientEndpointConnector(this) {
                    @Override
                    protected void doinitPipeLine(ChannelPipeline pipeline) {
                        super.doinitPipeLine(pipeline);
                        tap.accept(pipeline);
                    }
                };
            }
        };
    }

    static SMPPClientEndpointEntity smpp(Consumer<ChannelPipeline> tap) {
        return new SMPPClientEndpointEntity() {
            @Override
            @SuppressWarnings("unchecked")
            protected SMPPClientEndpointConnector buildConnector() {
                return new SMPPClientEndpointConnector(this) {
                    @Override
                    protected void doinitPipeLine(ChannelPipeline pipeline) {
                        super.doinitPipeLine(pipeline);
                        tap.accept(pipeline);
                    }
                };
            }
        };
    }
}
