// A server whose connections are rolled over all the time.
'use strict';
const { announced, assert, connect, frames, open, test } = require('./kit');

test('rolled over ten times: no call fails, and a source reads on', async () => {
    const client = connect(process.env.CHANSERV_ROLLED);
    const until = Date.now() + 2000;
    const [long] = await announced(client, 'gen', 'sources=1&frames=150&size=100&delay_ms=10');
    const all = frames(open(client, long));
    while (Date.now() < until) {
        for (const source of await announced(client, 'gen', 'sources=2&frames=3&size=100')) {
            assert.strictEqual((await frames(open(client, source))).length, 3);
        }
    }
    assert.strictEqual((await all).length, 150);
    client.close();
});
