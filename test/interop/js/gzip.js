// Compressed messages, of a server that compresses and of one that only reads them.
'use strict';
const { announced, assert, code, collect, connect, ends, grpc, one, open, post, seen,
    test } = require('./kit');

// Stock grpc-js lists gzip in every request, and compresses when the channel says so.
const packing = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip };
const servers = [['that compresses', process.env.CHANSERV_PACKED, true],
    ['that does not', process.env.CHANSERV_WITNESS, false]];

for (const [which, addr, packs] of servers) {
    for (const [what, options] of [['compresses', packing], ['does not', {}]]) {
        test(`a client that ${what} reads a server ${which}`, async () => {
            const client = connect(addr, options);
            const before = await seen(client);
            const [well] = await announced(client, 'well', '1 20000');
            const call = open(client, well);
            for (let k = 0; k < 50; k += 1) {
                const { payload } = await one(call);
                assert.strictEqual(String(payload), `${k}:`.padEnd(20000, '.'));
            }
            call.on('error', () => {});
            call.cancel();
            const { messages_gzipped: now, bytes_out: out } = await seen(client);
            if (packs) assert.ok(now >= before.messages_gzipped + 50, `${now} messages`);
            else assert.strictEqual(now, 0);
            assert.ok(packs ? out - before.bytes_out < 500000 : out - before.bytes_out > 1000000,
                `${out - before.bytes_out} bytes`);
            client.close();
        });
    }

    test(`a compressed request is understood by a server ${which}`, async () => {
        const client = connect(addr, packing);
        const before = await seen(client);
        const got = await collect(post(client, 'mirror', 'x'.repeat(1000000)));
        assert.strictEqual(got.status.code, code.OK, got.status.details);
        assert.strictEqual(String(got.messages[0].header), '1000000');
        const { bytes_in: now } = await seen(client);
        assert.ok(now - before.bytes_in < 20000, `${now - before.bytes_in} bytes`);
        client.close();
    });

    test(`a talk is compressed both ways, with a server ${which}`, async () => {
        const client = connect(addr, packing);
        const [source] = await announced(client, 'talk');
        const call = client.Talk();
        const said = ['a', 'b'.repeat(900), 'frame '.repeat(100)];
        call.write({ open: { ticket: source.ticket } });
        for (const payload of said) call.write({ frame: { payload: Buffer.from(payload) } });
        for (let i = 0; i < said.length; i += 1)
            assert.strictEqual(String((await one(call)).payload),
                i + ':' + (said[i].length > 64 ? `${said[i].length} bytes` : said[i]));
        call.end();
        assert.strictEqual(String((await one(call)).payload), 'bye');
        ends(await collect(call), 'OK');
        client.close();
    });

    test(`a bomb is too large for a server ${which}, and it serves on`, async () => {
        const client = connect(addr, packing);
        const got = await collect(post(client, 'mirror', Buffer.alloc(5 << 20)));
        ends(got, 'RESOURCE_EXHAUSTED', 'too-large');
        assert.strictEqual((await announced(client, 'mirror', 'x')).length, 1);
        client.close();
    });
}
