// A business system's SMPP client by the npm package `smpp`: binds, submits what it is told, answers what comes.
'use strict';
const smpp = require('smpp');
const readline = require('readline');

const say = (event) => process.stdout.write(JSON.stringify(event) + '\n');
const session = smpp.connect({ url: `smpp://127.0.0.1:${process.env.PEER_PORT}` }, () => {
  session.bind_transceiver(
    { system_id: process.env.PEER_ACCOUNT, password: process.env.PEER_PASSWORD },
    (pdu) => say({ event: 'bound', status: pdu.command_status, system_id: pdu.system_id }),
  );
});
session.on('deliver_sm', (pdu) => {
  session.send(pdu.response());
  const short = pdu.short_message || {};
  say({
    event: pdu.esm_class & 4 ? 'receipt' : 'mo',
    source: pdu.source_addr,
    destination: pdu.destination_addr,
    data_coding: pdu.data_coding,
    text: typeof short === 'string' ? short : short.message,
  });
});
session.on('enquire_link', (pdu) => session.send(pdu.response()));
session.on('close', () => say({ event: 'closed' }));
session.on('error', (error) => say({ event: 'error', message: String(error) }));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  if (order.do === 'submit') {
    session.submit_sm(
      {
        source_addr: order.source,
        destination_addr: order.destination,
        short_message: order.text,
        registered_delivery: 1,
      },
      (pdu) => say({ event: 'submitted', status: pdu.command_status, id: pdu.message_id }),
    );
  }
  if (order.do === 'multi') {
    const dest_address = order.destinations.map((destination_addr) => ({ dest_flag: 1, destination_addr }));
    session.submit_multi(
      { source_addr: order.source, dest_address, short_message: order.text, registered_delivery: 1 },
      (pdu) => say({ event: 'answered', command: pdu.command, status: pdu.command_status, id: pdu.message_id }),
    );
  }
  if (order.do === 'data') {
    session.data_sm(
      { source_addr: order.source, destination_addr: order.destination, message_payload: order.text, data_coding: 8 },
      (pdu) => say({ event: 'answered', command: pdu.command, status: pdu.command_status, id: pdu.message_id }),
    );
  }
  if (['query_sm', 'cancel_sm', 'replace_sm'].includes(order.do)) {
    session[order.do]({ message_id: order.id, source_addr: order.source, short_message: 'other words' }, (pdu) =>
      say({ event: 'answered', command: pdu.command, status: pdu.command_status, state: pdu.message_state }),
    );
  }
  if (order.do === 'enquire') session.enquire_link({}, (pdu) => say({ event: 'alive', status: pdu.command_status }));
  if (order.do === 'unbind') session.unbind({}, (pdu) => say({ event: 'unbound', status: pdu.command_status }));
});
process.stdin.on('close', () => process.exit(0));
