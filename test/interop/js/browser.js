// Chromium against a running server, as a page that a browser has open: EventSource, and whose pages may ask.
// Environment:
//   CHANSERV_PAGED     HOST:PORT of `chanserv serve` with gen, which lists the origin
//   CHANSERV_ORIGIN    http://app.localhost:PORT, whose port is free
'use strict';
const net = require('net');
const { once } = require('events');
const { base, listed, opened, server } = require('./chromium');
const { assert, run, test } = require('./kit');
const { at } = require('./site');

// In a page: posts, and has the URL of the first source.
async function announced(page, from, body) {
    return page.evaluate(async ([url, asked]) => {
        const answer = await fetch(`${url}/v1/post/gen?mode=announce`, { method: 'POST', body: asked });
        const [first] = (await answer.text()).split('\n');
        return url + JSON.parse(first).announce.url;
    }, [from, body]);
}

// In a page: reads a source as EventSource does, until that gives up by itself.  `early`: the page closes
// it when it hears of the end.
async function listened(page, url, early) {
    return page.evaluate(([from, closes]) => new Promise((resolve) => {
        const got = { frames: [], ends: [], errors: 0, lost: 0 };
        const source = new EventSource(from);
        source.onmessage = ({ data, lastEventId }) => {
            got.frames.push([Number(lastEventId), JSON.parse(data).frame.seq]);
        };
        source.addEventListener('lost', () => { got.lost += 1; });
        source.addEventListener('end', ({ data }) => {
            got.ends.push(JSON.parse(data).end.code);
            if (!closes) return;
            source.close();
            resolve(got);
        });
        source.onerror = () => {
            got.errors += 1;
            if (source.readyState === EventSource.CLOSED) resolve(got);
        };
    }), [url, early]);
}

// ---- A proxy that cuts -------------------------------------------------------------------------------

// The n-th answer of a source is cut after cuts[n] bytes of what follows its head.
async function cutter(cuts) {
    const statuses = [];
    const proxy = net.createServer((down) => {
        const up = net.connect(Number(server.split(':')[1]), server.split(':')[0]);
        let left = Infinity, head = null;
        const gone = () => { up.destroy(); down.destroy(); };
        for (const end of [up, down]) end.on('error', gone).on('close', gone);
        down.on('data', (bytes) => {
            if (bytes.includes('GET /v1/source/')) head = '';
            up.write(bytes);
        });
        up.on('data', (bytes) => {
            if (head !== null) {
                head += bytes.toString('latin1');
                const end = head.indexOf('\r\n\r\n');
                if (end < 0) return;
                statuses.push(Number(head.split(' ')[1]));
                left = end + 4 + (cuts[statuses.length - 1] ?? Infinity);
                bytes = Buffer.from(head, 'latin1');
                head = null;
            }
            down.write(bytes.subarray(0, left));
            left -= bytes.length;
            if (left <= 0) down.destroySoon(), up.destroy();
        });
    });
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    return { url: `http://127.0.0.1:${proxy.address().port}`, statuses };
}

const FRAMES = 300;
// Six rests of the half second that `retry` says; of Chromium's own three they would be eighteen.
test('browser: EventSource through five cuts has each frame once, in order, and stops at the end', async () => {
    const proxy = await cutter([0, 500, 1, 3000, 7001]);
    const page = await opened();
    await page.goto(`${proxy.url}/v1/services`);
    const url = await announced(page, proxy.url, `sources=1&frames=${FRAMES}&size=100&delay_ms=1`);
    const got = await listened(page, url, false);
    assert.deepStrictEqual(got.frames, [...Array(FRAMES).keys()].map((i) => [i, i]));
    assert.deepStrictEqual(got.ends, ['OK']);
    assert.strictEqual(got.lost, 0);
    assert.deepStrictEqual(proxy.statuses, [200, 200, 200, 200, 200, 200, 204]);
    assert.strictEqual(got.errors, 7); // five cuts, the end, and the last word
    await page.close();
}, 15);

test('browser: a page that closes at the event end asks no more', async () => {
    const proxy = await cutter([]);
    const page = await opened();
    await page.goto(`${proxy.url}/v1/services`);
    const url = await announced(page, proxy.url, 'sources=1&frames=3&size=4');
    const got = await listened(page, url, true);
    assert.deepStrictEqual(got.frames, [[0, 0], [1, 1], [2, 2]]);
    assert.deepStrictEqual([got.ends, got.errors, proxy.statuses], [['OK'], 0, [200]]);
    await page.close();
});

// ---- Whose pages may ask -----------------------------------------------------------------------------

test('browser: a page of an origin that is listed posts, with fields of its own, and reads', async () => {
    const page = await at(listed);
    const said = await page.evaluate(async (url) => {
        const answer = await fetch(`${url}/v1/post/gen`,
            { method: 'POST', body: 'sources=1&frames=2&size=4', headers: { 'x-why': 'a preflight' } });
        return answer.text();
    }, base);
    assert.match(said, /"seq":1,"text":"0:1:".*\n.*\n{"end":{"code":"OK"}}\n$/);
    const url = await announced(page, base, 'sources=1&frames=3&size=4');
    const got = await listened(page, url, true);
    assert.deepStrictEqual(got.frames, [[0, 0], [1, 1], [2, 2]]);
    await page.close();
});

test('browser: a page of another origin is refused, and cannot read even that', async () => {
    const page = await at(listed.replace('//app.', '//evil.'));
    const statuses = [];
    page.on('response', (answer) => statuses.push(answer.status()));
    const said = await page.evaluate(async (url) => {
        const tried = async (path, how) => {
            try {
                const answer = await fetch(url + path, how);
                return `${answer.type} ${answer.status}`;
            } catch (error) {
                return error.name;
            }
        };
        const events = (path) => new Promise((resolve) => {
            const source = new EventSource(url + path);
            source.onerror = () => resolve(source.readyState);
        });
        return [
            await tried('/v1/services', {}),
            await tried('/v1/post/gen', { method: 'POST', body: 'sources=1', mode: 'no-cors' }),
            await tried('/v1/services', { mode: 'no-cors' }),
            await events('/v1/source/00'),
        ];
    }, base);
    assert.deepStrictEqual(said, ['TypeError', 'opaque 0', 'opaque 0', 2]);
    assert.deepStrictEqual([...new Set(statuses)], [403]);
    assert.ok(statuses.length >= 2, `${statuses}`);
    await page.close();
});

require('./page');
require('./web');
run();
