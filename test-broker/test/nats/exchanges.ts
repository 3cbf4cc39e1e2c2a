/** A script that a client sends, and the complete response of a NATS server after its INFO. */
export interface Exchange {
  readonly name: string;
  readonly script: string;
  /** Ends with `[end]` if the server closes the connection. */
  readonly answer: string;
}

const QUIET = 'CONNECT {"verbose":false,"pedantic":false}\r\n';
const HEADERS = 'CONNECT {"verbose":false,"headers":true}\r\n';
const REQUESTER = 'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n';
const PING = 'PING\r\n';
const UNKNOWN = "-ERR 'Unknown Protocol Operation'\r\n[end]";
const TOO_LONG = "-ERR 'maximum control line exceeded'\r\n[end]";
const INVALID = "-ERR 'Invalid Subject'\r\n";
const NO_RESPONDERS = '16 16\r\nNATS/1.0 503\r\n\r\n\r\n';

const exchange = (name: string, script: string, answer: string): Exchange => ({ name, script, answer });
const quiet = (name: string, script: string, answer: string) => exchange(name, QUIET + script, answer);

/** Responses of nats-server 2.9, checked against it where it is installed. */
export const EXCHANGES: readonly Exchange[] = [
  exchange('PING before CONNECT', PING, 'PONG\r\n'),
  exchange(
    'verbose before CONNECT',
    `SUB a 1\r\nPUB a 2\r\nhi\r\n${PING}`,
    '+OK\r\n+OK\r\nMSG a 1 2\r\nhi\r\nPONG\r\n',
  ),
  exchange('verbose where CONNECT does not say', `CONNECT {}\r\n${PING}`, '+OK\r\nPONG\r\n'),
  exchange('CONNECT without a blank', `CONNECT{"verbose":false}\r\n${PING}`, 'PONG\r\n'),
  exchange(
    'CONNECT twice',
    `CONNECT {"verbose":false}\r\nCONNECT {"verbose":true}\r\nPUB a 1\r\nx\r\n${PING}`,
    '+OK\r\n+OK\r\nPONG\r\n',
  ),
  exchange('CONNECT field names in any case', `CONNECT {"verbose":null,"VERBOSE":false}\r\n${PING}`, 'PONG\r\n'),
  exchange('CONNECT that is not JSON', `CONNECT {"verbose\r\n${PING}`, '[end]'),
  exchange('CONNECT that is an array', `CONNECT []\r\n${PING}`, '[end]'),
  exchange('CONNECT with a field of the wrong type', `CONNECT {"verbose":"yes"}\r\n${PING}`, '[end]'),
  exchange('CONNECT without arguments', `CONNECT\r\n${PING}`, '[end]'),
  exchange(
    'CONNECT for another protocol',
    `CONNECT {"protocol":9}\r\n${PING}`,
    "-ERR 'invalid client protocol'\r\n[end]",
  ),
  exchange(
    'no responders without headers',
    `CONNECT {"verbose":false,"no_responders":true}\r\n${PING}`,
    "-ERR 'no responders requires headers support'\r\n[end]",
  ),
  exchange('an unknown command', 'FOO BAR\r\n', UNKNOWN),
  exchange('an unknown command before its line ends', 'X', UNKNOWN),
  exchange('an empty line', `${PING}\r\n`, `PONG\r\n${UNKNOWN}`),
  exchange('a command without a blank', 'SUBa 1\r\n', UNKNOWN),
  exchange('a command of servers', 'MSG a 1 1\r\nx\r\n', UNKNOWN),
  quiet('commands in lower case, tabs', 'sub a 1\r\npub\ta\t1\r\nx\r\nping\r\n', 'MSG a 1 1\r\nx\r\nPONG\r\n'),
  quiet(
    'line feeds alone, spaces everywhere',
    'SUB  a   1 \nPUB \t a 1 \r\nx\r\nPING \n',
    'MSG a 1 1\r\nx\r\nPONG\r\n',
  ),
  quiet('+OK, PONG and INFO from a client', `+OK\r\nPONG\r\nINFO {}\r\n${PING}`, 'PONG\r\n'),
  quiet('-ERR from a client', `-ERR 'x'\r\n${PING}`, '[end]'),
  quiet('PING with a long tail', `PING${'a'.repeat(9000)}\r\n`, 'PONG\r\n'),
  quiet('PUB without a size', `PUB a\r\n${PING}`, '[end]'),
  quiet('PUB with four arguments', `PUB a b c 2\r\nhi\r\n${PING}`, '[end]'),
  quiet('PUB with a size that is no number', `PUB a xx\r\n${PING}`, '[end]'),
  quiet('PUB with a negative size', `PUB a -2\r\n${PING}`, '[end]'),
  quiet('PUB with a size of ten digits', `PUB a 1000000000\r\n${PING}`, '[end]'),
  quiet('PUB above the maximum payload', 'PUB a 1048577\r\n', "-ERR 'Maximum Payload Violation'\r\n[end]"),
  quiet('PUB at the maximum payload', `PUB a 1048576\r\n${'x'.repeat(1_048_576)}\r\n${PING}`, 'PONG\r\n'),
  quiet('a payload longer than its size', `PUB a 2\r\nhixx\r\n${PING}`, UNKNOWN),
  quiet('a payload without CR', `PUB a 2\r\nhi\n${PING}`, UNKNOWN),
  quiet('an empty payload', `SUB a 1\r\nPUB a r 0\r\n\r\n${PING}`, 'MSG a 1 r 0\r\n\r\nPONG\r\n'),
  quiet(
    'a payload in UTF-8 on such a subject',
    `SUB é.> 1\r\nPUB é.ü 2\r\nß\r\n${PING}`,
    'MSG é.ü 1 2\r\nß\r\nPONG\r\n',
  ),
  quiet(
    'wildcards in a publish subject',
    `SUB a.* 1\r\nSUB a.b 2\r\nPUB a.* 2\r\nhi\r\nPUB a.> 1\r\nx\r\n${PING}`,
    'MSG a.* 1 2\r\nhi\r\nMSG a.> 1 1\r\nx\r\nPONG\r\n',
  ),
  exchange(
    'wildcards in a publish subject, pedantic',
    `CONNECT {"verbose":true,"pedantic":true}\r\nSUB a.* 1\r\nPUB a.* 2\r\nhi\r\n${PING}`,
    "+OK\r\n+OK\r\n-ERR 'Invalid Publish Subject'\r\n+OK\r\nMSG a.* 1 2\r\nhi\r\nPONG\r\n",
  ),
  quiet(
    'empty tokens in a publish subject',
    `SUB > 1\r\nPUB a..b 1\r\nx\r\nPUB .a 1\r\nx\r\nPUB a. 1\r\nx\r\n${PING}`,
    'PONG\r\n',
  ),
  quiet(
    'wildcard characters inside a token',
    `SUB a.b* 1\r\nSUB a>b 2\r\nPUB a.bc 1\r\nx\r\nPUB a.b* 1\r\nx\r\nPUB a>b 1\r\nx\r\n${PING}`,
    'MSG a.b* 1 1\r\nx\r\nMSG a>b 2 1\r\nx\r\nPONG\r\n',
  ),
  quiet(
    'SUB on bad subjects',
    `SUB a..b 1\r\nSUB a.>.b 2\r\nSUB .a 3\r\nSUB a. 4\r\n${PING}`,
    `${INVALID.repeat(4)}PONG\r\n`,
  ),
  exchange('SUB on a bad subject, verbose', `SUB a..b 1\r\n${PING}`, `${INVALID}PONG\r\n`),
  quiet('SUB with one argument', `SUB a\r\n${PING}`, '[end]'),
  quiet('SUB with four arguments', `SUB a b c d\r\n${PING}`, '[end]'),
  quiet(
    'SUB with an id in use',
    `SUB a 1\r\nSUB b 1\r\nPUB b 1\r\nx\r\nPUB a 1\r\ny\r\n${PING}`,
    'MSG a 1 1\r\ny\r\nPONG\r\n',
  ),
  quiet(
    'two members of a queue group on one connection',
    `SUB a q 1\r\nPUB a 1\r\nx\r\n${PING}`,
    'MSG a 1 1\r\nx\r\nPONG\r\n',
  ),
  quiet('UNSUB of nothing', `UNSUB 9\r\nUNSUB 9 3\r\n${PING}`, 'PONG\r\n'),
  quiet('UNSUB with three arguments', `UNSUB 9 3 4\r\n${PING}`, '[end]'),
  quiet('UNSUB without arguments', `UNSUB \r\n${PING}`, '[end]'),
  quiet('UNSUB with a maximum that is no number', `SUB a 1\r\nUNSUB 1 x\r\nPUB a 1\r\nx\r\n${PING}`, 'PONG\r\n'),
  quiet(
    'UNSUB after two messages',
    `SUB a 1\r\nUNSUB 1 2\r\n${'PUB a 1\r\nx\r\n'.repeat(3)}${PING}`,
    `${'MSG a 1 1\r\nx\r\n'.repeat(2)}PONG\r\n`,
  ),
  quiet(
    'UNSUB after the number of messages that have arrived',
    `SUB a 1\r\nPUB a 1\r\nx\r\nUNSUB 1 1\r\nPUB a 1\r\nx\r\n${PING}`,
    'MSG a 1 1\r\nx\r\nPONG\r\n',
  ),
  exchange(
    'HPUB',
    `${HEADERS}SUB a 1\r\nHPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n${PING}`,
    'HMSG a 1 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPONG\r\n',
  ),
  exchange(
    'HPUB with no header bytes',
    `${HEADERS}SUB a 1\r\nHPUB a 0 2\r\nhi\r\n${PING}`,
    'MSG a 1 2\r\nhi\r\nPONG\r\n',
  ),
  exchange(
    'HPUB with a header that is not valid',
    `${HEADERS}SUB a 1\r\nHPUB a 3 5\r\nabchi\r\n${PING}`,
    'HMSG a 1 3 5\r\nabchi\r\nPONG\r\n',
  ),
  exchange('HPUB with more header than bytes', `${HEADERS}HPUB a 14 12\r\n${PING}`, '[end]'),
  exchange('HPUB with one size', `${HEADERS}HPUB a 5\r\n${PING}`, '[end]'),
  exchange(
    'HPUB above the maximum payload',
    `${HEADERS}HPUB a 12 1048577\r\n`,
    "-ERR 'Maximum Payload Violation'\r\n[end]",
  ),
  quiet('HPUB without headers in CONNECT', `HPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\n${PING}`, '[end]'),
  exchange(
    'a request without a subscriber',
    `${REQUESTER}SUB r.* 7\r\nPUB a r.1 2\r\nhi\r\n${PING}`,
    `HMSG r.1 7 ${NO_RESPONDERS}PONG\r\n`,
  ),
  exchange(
    'requests without a subscriber do not count towards the maximum',
    `${REQUESTER}SUB r 7\r\nUNSUB 7 1\r\n${'PUB a r 2\r\nhi\r\n'.repeat(2)}${PING}`,
    `${`HMSG r 7 ${NO_RESPONDERS}`.repeat(2)}PONG\r\n`,
  ),
  exchange(
    'a request without a subscriber, reply in a queue group',
    `${REQUESTER}SUB r.* q 7\r\nPUB a r.1 1\r\nx\r\n${PING}`,
    'PONG\r\n',
  ),
  exchange(
    'a request that reaches a subscriber',
    `${REQUESTER}SUB r 7\r\nSUB a 8\r\nPUB a r 1\r\nx\r\n${PING}`,
    'MSG a 8 r 1\r\nx\r\nPONG\r\n',
  ),
  exchange(
    'a request that would only reach its own sender, echo off',
    `CONNECT {"verbose":false,"headers":true,"no_responders":true,"echo":false}\r\nSUB r 7\r\nSUB a 8\r\nPUB a r 2\r\nhi\r\n${PING}`,
    `HMSG r 7 ${NO_RESPONDERS}PONG\r\n`,
  ),
  exchange(
    'own messages with echo off',
    `CONNECT {"verbose":false,"echo":false}\r\nSUB a 1\r\nSUB a q 2\r\nPUB a 1\r\nx\r\n${PING}`,
    'PONG\r\n',
  ),
  quiet('a control line of 4096 bytes', `PUB ${'a'.repeat(4094)} 1\r\nx\r\n${PING}`, 'PONG\r\n'),
  quiet('a control line of 4097 bytes', `PUB ${'a'.repeat(4095)} 1\r\nx\r\n${PING}`, TOO_LONG),
  quiet('a control line without end', `SUB ${'a'.repeat(5000)}`, TOO_LONG),
  exchange('CONNECT above 4096 bytes', `CONNECT {"name":"${'a'.repeat(5000)}"}\r\n${PING}`, TOO_LONG),
];
