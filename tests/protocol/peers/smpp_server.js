// A carrier's SMPP server by the npm package `smpp`: answers binds and submits, sends receipts and one reply when told.
// Speaks JSON lines on standard output; commands come as JSON lines on standard input.
'use strict';
const smpp = require('smpp');
const readline = require('readline');

const say = (event) => process.stdout.write(JSON.stringify(event) + '\n');
const sessions = new Set();
let serial = 0;

const server = smpp.createServer({}, (session) => {
  const bind = (pdu) => {
    if (pdu.password !== process.env.PEER_PASSWORD) {
      session.send(pdu.response({ command_status: smpp.ESME_RBINDFAIL }));
      return;
    }
    sessions.add(session);
    session.send(pdu.response({ system_id: 'npm-smpp' }));
    say({ event: 'bound', command: pdu.command, system_id: pdu.system_id });
  };
  session.on('bind_transceiver', bind);
  session.on('bind_transmitter', bind);
  session.on('bind_receiver', bind);
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    say({ event: 'unbound' });
    session.close();
  });
  session.on('submit_sm', (pdu) => {
    const id = (++serial).toString(16).padStart(8, '0');
    session.send(pdu.response({ message_id: id }));
    const short = pdu.short_message || {};
    say({
      event: 'submit',
      id,
      source: pdu.source_addr,
      destination: pdu.destination_addr,
      esm_class: pdu.esm_class,
      data_coding: pdu.data_coding,
      registered_delivery: pdu.registered_delivery,
      text: typeof short === 'string' ? short : short.message,
      udh: short.udh ? short.udh.map((element) => element.toString('hex')) : [],
    });
    if (!pdu.registered_delivery) return;
    session.deliver_sm(
      {
        esm_class: 4,
        source_addr: pdu.destination_addr,
        destination_addr: pdu.source_addr,
        short_message:
          `id:${id} sub:001 dlvrd:001 submit date:2611230800 done date:2611230801 stat:DELIVRD err:000 text:`,
      },
      (answer) => say({ event: 'receipt_answered', id, status: answer.command_status }),
    );
  });
  session.on('query_sm', (pdu) => {
    session.send(pdu.response({ message_id: pdu.message_id, message_state: 2, error_code: 7 }));
    say({ event: 'query_sm', id: pdu.message_id, source: pdu.source_addr });
  });
  session.on('cancel_sm', (pdu) => {
    session.send(pdu.response({ command_status: smpp.ESME_RCANCELFAIL }));
    say({ event: 'cancel_sm', id: pdu.message_id, destination: pdu.destination_addr });
  });
  session.on('replace_sm', (pdu) => {
    session.send(pdu.response());
    say({ event: 'replace_sm', id: pdu.message_id, text: String(pdu.short_message.message ?? pdu.short_message) });
  });
  session.on('submit_multi', (pdu) => {
    session.send(pdu.response({ message_id: 'multi' }));
    say({ event: 'submit_multi', destinations: pdu.dest_address.map((one) => one.destination_addr) });
  });
  session.on('data_sm', (pdu) => {
    session.send(pdu.response({ message_id: 'data' }));
    say({ event: 'data_sm', destination: pdu.destination_addr, text: pdu.message_payload.message });
  });
  session.on('close', () => sessions.delete(session));
  session.on('error', (error) => say({ event: 'error', message: String(error) }));
});

server.listen(0, '127.0.0.1', () => say({ event: 'listening', port: server.address().port }));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  for (const session of sessions) {
    if (order.do === 'reply') {
      session.deliver_sm(
        { source_addr: order.from, destination_addr: order.to, short_message: order.text, data_coding: 8 },
        (answer) => say({ event: 'reply_answered', status: answer.command_status }),
      );
    }
    if (order.do === 'enquire') session.enquire_link({}, (answer) => say({ event: 'alive', status: answer.command_status }));
    if (order.do === 'alert') session.alert_notification({ source_addr: order.from, esme_addr: order.to });
    if (order.do === 'data') {
      session.data_sm(
        { source_addr: order.from, destination_addr: order.to, data_coding: 8, message_payload: order.text },
        (answer) => say({ event: 'data_answered', status: answer.command_status }),
      );
    }
    if (order.do === 'cut') session.socket.destroy();
    return;
  }
});
process.stdin.on('close', () => process.exit(0));
