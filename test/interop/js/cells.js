// What every client does, in each cell of the matrix: plain text, unix socket, TLS, mutual TLS.
'use strict';
const { announced, assert, collect, ends, frames, grpc, one, open, post, seen, test,
    until } = require('./kit');
const { genFrame } = require('./gen');
const { cells, known, unknown } = require('./ways');

for (const { name: cell, gen, witness } of cells) {
    // `name`: what `fn` proves of one of the two servers, with a client of its own.
    const proves = (name, addr, fn, options) => test(`${cell}: ${name}`, async () => {
        const client = known[cell](addr, options);
        await fn(client);
        client.close();
    });

    proves('the list has what we may use, the rest is refused in words', gen, async (client) => {
        const call = client.Services({});
        const list = await one(call);
        call.on('error', () => {});
        call.cancel();
        assert.deepStrictEqual(list.services.map((service) => service.name), ['gen']);
        const got = await collect(post(client, 'secret'));
        ends(got, 'PERMISSION_DENIED', 'denied');
        assert.strictEqual(got.status.details, 'you are known, but not allowed to use secret');
    });

    if (unknown[cell]) {
        test(`${cell}: who may do nothing here is told so`, async () => {
            const client = unknown[cell](gen);
            const got = await collect(post(client, 'gen'));
            ends(got, cell === 'mtls' ? 'PERMISSION_DENIED' : 'UNAUTHENTICATED', 'denied');
            assert.match(got.status.details,
                cell === 'mtls' ? /^no name of your certificate/ : /^who are you\? send a token/);
            client.close();
        });
    }

    proves('five sources, and every byte of them', gen, async (client) => {
        const sources = await announced(client, 'gen', 'sources=5&frames=3&size=5000');
        assert.strictEqual(sources.length, 5);
        await Promise.all(sources.map(async (source, i) => assert.deepStrictEqual(
            await frames(open(client, source)), [0, 1, 2].map((j) => genFrame(i, j, 5000)))));
    });

    proves('a frame of 2 MiB comes in parts', gen, async (client) => {
        const [source] = await announced(client, 'gen', `sources=1&frames=2&size=${2 << 20}`);
        const got = await collect(open(client, source));
        ends(got, 'OK');
        assert.deepStrictEqual(got.messages.map(({ more }) => more ?? false), [true, false, true, false]);
        const parts = got.messages.map((part) => part.payload);
        assert.ok(Buffer.concat(parts.slice(0, 2)).equals(genFrame(0, 0, 2 << 20)));
        assert.ok(Buffer.concat(parts.slice(2)).equals(genFrame(0, 1, 2 << 20)));
    });

    proves('an error comes behind the frames, with its words', gen, async (client) => {
        const [source] = await announced(client, 'gen', 'sources=1&frames=1&size=9&status=9');
        const got = await collect(open(client, source));
        assert.strictEqual(got.messages.length, 1);
        ends(got, 'FAILED_PRECONDITION');
        assert.strictEqual(got.status.details, 'source @0 ends as asked: schön, 好的 ✓');
    });

    proves('a producer hears that we left', witness, async (client) => {
        const before = await seen(client);
        const [well] = await announced(client, 'well', '1 1000');
        const call = open(client, well);
        for (let k = 0; k < 5; k += 1)
            assert.ok(String((await one(call)).payload).startsWith(`${k}:`));
        call.on('error', () => {});
        call.cancel();
        await until(client,
            (now) => now['end.client-left'] === (before['end.client-left'] ?? 0) + 1);
    });

    proves('a conversation, to the last words of both', witness, async (client) => {
        const [source] = await announced(client, 'talk');
        const call = client.Talk();
        call.write({ open: { ticket: source.ticket } });
        for (const [i, word] of ['eins', 'zwei', 'drei'].entries()) {
            call.write({ frame: { payload: Buffer.from(word) } });
            assert.strictEqual(String((await one(call)).payload), `${i}:${word}`);
        }
        call.end();
        assert.strictEqual(String((await one(call)).payload), 'bye');
        ends(await collect(call), 'OK');
    });
}

const { witness } = cells.find((cell) => cell.name === 'tls');
test('tls: compressed both ways', async () => {
    const client = known.tls(witness,
        { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip });
    const before = await seen(client);
    const [source] = await announced(client, 'mirror', 'x'.repeat(1000000));
    assert.strictEqual(String(source.header), '1000000');
    const call = open(client, (await announced(client, 'well', '1 20000'))[0]);
    for (let k = 0; k < 20; k += 1)
        assert.strictEqual(String((await one(call)).payload), `${k}:`.padEnd(20000, '.'));
    call.on('error', () => {});
    call.cancel();
    const now = await seen(client);
    assert.ok(now.messages_gzipped >= before.messages_gzipped + 20, `${now.messages_gzipped} messages`);
    assert.ok(now.bytes_in < before.bytes_in + 50000, `${now.bytes_in - before.bytes_in} bytes`);
    client.close();
});
