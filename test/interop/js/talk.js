// Sources that listen.
'use strict';
const { announced, assert, code, collect, connect, ends, one, seen, test, until } = require('./kit');

const witness = connect(process.env.CHANSERV_WITNESS);

async function talk() {
    const [source] = await announced(witness, 'talk');
    assert.ok(source.uplink);
    const call = witness.Talk();
    call.write({ open: { ticket: source.ticket } });
    return call;
}

const say = (call, payload, more) => call.write({ frame: { payload: Buffer.from(payload), more } });
const hears = async (call, text) => assert.strictEqual(String((await one(call)).payload), text);

test('a source that listens is spoken to, both ways in order', async () => {
    const call = await talk();
    say(call, 'a');
    await hears(call, '0:a');
    for (let i = 1; i <= 100; i += 1) say(call, `frame ${i}`);
    for (let i = 1; i <= 100; i += 1) await hears(call, `${i}:frame ${i}`);
    say(call, Buffer.alloc(1 << 20), true);
    say(call, Buffer.alloc(1 << 20), true);
    say(call, Buffer.alloc(5));
    await hears(call, '103:2097157 bytes');
    call.end();
    await hears(call, 'bye');
    const got = await collect(call);
    ends(got, 'OK');
});

test('the last word of a source that listens ends both ways', async () => {
    const call = await talk();
    const ended = collect(call);
    say(call, 'enough');
    const got = await ended;
    ends(got, 'OK');
    assert.strictEqual(got.messages.length, 0);
});

test('a talk that begins with a frame is refused, and one that is cancelled is heard of', async () => {
    const bad = witness.Talk();
    say(bad, 'a');
    ends(await collect(bad), 'INVALID_ARGUMENT', 'bad-request');
    const before = await seen(witness);
    const call = await talk();
    say(call, 'a');
    await hears(call, '0:a');
    call.on('error', (error) => assert.strictEqual(error.code, code.CANCELLED));
    call.cancel();
    // grpc-js half-closes before it resets: the producer may hear a last word, and say its own.
    const over = (said) => (said['end.done'] ?? 0) + (said['end.client-left'] ?? 0);
    await until(witness, (said) => over(said) > over(before));
});
