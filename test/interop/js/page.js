// The page at /, as somebody uses it: looked at, posted from, by mouse and by keyboard.
'use strict';
const { base, opened } = require('./chromium');
const { assert, test } = require('./kit');

// The page, and whatever its console said.
async function visited(width = 1440, colorScheme = 'light') {
    const page = await opened({ viewport: { width, height: 900 }, colorScheme });
    const said = [];
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => said.push(error.stack));
    const answer = await page.goto(base);
    await page.waitForSelector('#service option', { state: 'attached' });
    return { answer, page, said };
}

const text = (page, where) => page.locator(where).allTextContents();
// Of each source on the console, how many frames it shows.
const counts = async (page) => (await text(page, '.source .facts')).map((facts) => parseInt(facts, 10));
// Until it holds in the page, whose policy keeps the driver's own way to wait from working.
async function until(page, holds, wanted) {
    for (let left = 200; !await page.evaluate(holds, wanted); left -= 1) {
        if (left === 0) throw new Error(`never: ${holds} ${wanted}`);
        await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
}
const shows = (page, where, wanted) => until(page,
    ([at, words]) => [...document.querySelectorAll(at)].some((one) => one.textContent.includes(words)),
    [where, wanted]);
const five = 'sources=5&frames=900000&size=24&delay_ms=20';

test('browser: the page posts, shows five sources and their frames, and drops one', async () => {
    const { page, said } = await visited();
    await page.fill('#text', five);
    await page.click('#post');
    await until(page, () => document.querySelectorAll('.source').length === 5
        && [...document.querySelectorAll('.source .facts')].every((one) => parseInt(one.textContent, 10) > 20));
    await shows(page, '#sum', '1 post, 5 sources');
    assert.deepStrictEqual((await text(page, '.source .name')), [0, 1, 2, 3, 4].map((i) => `source @${i}`));
    assert.match((await text(page, '.source pre'))[3], /^ +\d+ {2}3:\d+:/);

    await page.locator('.source button').nth(1).click();
    await shows(page, '.source:nth-child(2) .chip', 'dropped');
    await shows(page, '#sum', '1 post, 4 sources');
    const then = await counts(page);
    await until(page, ([, , third]) => parseInt(document.querySelectorAll('.source .facts')[2].textContent, 10) > third + 20, then);
    const now = await counts(page);
    assert.strictEqual(now[1], then[1], 'the one that was dropped stands still');
    for (const i of [0, 2, 3, 4]) assert.ok(now[i] > then[i], `source ${i} goes on: ${then} ${now}`);
    assert.deepStrictEqual(await text(page, '#tree .leaf .name'), [0, 2, 3, 4].map((i) => `source ${i}`));

    await page.focus('#text');
    await page.keyboard.press('Escape');
    await shows(page, '#said .chip', 'cancelled');
    await shows(page, '#sum', '0 posts, 0 sources');
    assert.deepStrictEqual(said, []);
    await page.close();
});

test('browser: the page plots rates that move, and says what is stalled and why', async () => {
    const { page, said } = await visited();
    const frames = '#plots figure:first-child';
    await shows(page, `${frames} .value`, '0/s');
    const flat = await page.getAttribute(`${frames} .edge`, 'd');
    assert.strictEqual((await text(page, '#stalls'))[0], 'Nothing is stalled.');
    await page.fill('#text', five);
    await page.focus('#text');
    await page.keyboard.press('Control+Enter');
    await until(page, (at) => parseFloat(document.querySelector(`${at} .value`).textContent) > 20, frames);
    const lively = await page.getAttribute(`${frames} .edge`, 'd');
    assert.ok(new Set(lively.match(/,[\d.]+/g)).size > new Set(flat.match(/,[\d.]+/g)).size, `${flat} ${lively}`);
    await page.evaluate(async () => {
        await (await fetch('/v1/post/gen?mode=announce', { method: 'POST', body: 'sources=3&frames=1&size=4' })).text();
    });
    await shows(page, '#stalls', '3 sources of gennobody has opened them, for ');
    await shows(page, '#tree .leaf', 'claim');
    assert.deepStrictEqual(said, []);
    await page.close();
});

test('browser: the tree on the page opens and closes by keys', async () => {
    const { page } = await visited();
    await page.fill('#text', five);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter'); // Post
    await shows(page, '#tree summary .facts', '5 sources');
    const mine = page.locator('#tree details:has(> .kids > .leaf)', { hasText: '5 sources' });
    const leaf = mine.locator('.leaf').last();
    await mine.locator('summary').focus();
    await page.keyboard.press('ArrowLeft');
    assert.strictEqual(await leaf.isVisible(), false);
    await page.keyboard.press('ArrowRight');
    assert.strictEqual(await leaf.isVisible(), true);
    await page.keyboard.press('ArrowUp');
    assert.match(await page.evaluate(() => document.activeElement.querySelector('.name').textContent), /^127\.0\.0\.1:/);
    await page.close();
});

test('browser: the page shows who waits for whom, and that they have met', async () => {
    const { page, said } = await visited();
    await shows(page, '#meet-sum', '0 wait');
    assert.deepStrictEqual(await text(page, '#events'), ['Nobody waits.']);
    await page.evaluate(() => {
        const come = (query) => fetch(`/event?${new URLSearchParams(query)}`);
        window.met = come({ event: 'VM-is-up', actor: 'VM', payload: '192.168.1.1' }).then((answer) => answer.text());
        come({ event: 'step', actor: '<b>one', mates: 2, labels: 'zone=a', selector: 'zone in (a,b)', generation: '7', timeout: 20000 });
    });
    await shows(page, '#meet-sum', '2 wait');
    assert.deepStrictEqual(await text(page, '#events h3'), ['VM-is-up', 'step · 7']);
    assert.deepStrictEqual(await text(page, '#events .name'), ['VM', '<b>one']);
    assert.deepStrictEqual(await text(page, '#events .chip'), ['1 missing', '2 missing']);
    const facts = await text(page, '#events .facts');
    assert.match(facts[0], /^waits for 1: actor!=VM · brings 11 B · \d/);
    assert.match(facts[1], /^waits for 2: zone in \(a,b\) · is zone=a · \d/);
    assert.strictEqual(await page.evaluate(async () => {
        await fetch('/event?event=VM-is-up&actor=CUST&payload=hello');
        return window.met;
    }), '{"payloads":{"CUST":"hello","VM":"192.168.1.1"}}\n');
    await shows(page, '#meet-sum', '1 waits');
    assert.deepStrictEqual(await text(page, '#events .name'), ['<b>one']);
    assert.deepStrictEqual(said, []);
    await page.close();
});

// In a page: the text that stands out least from what is behind it (WCAG 2, 1.4.3), and how much.
function faintest() {
    const parse = (css) => { const n = css.match(/[\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
    const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a)];
    const light = (c) => {
        const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (at) => {
        const back = at ? parse(getComputedStyle(at).backgroundColor) : [255, 255, 255, 1];
        return back[3] === 1 ? back.slice(0, 3) : over(back, behind(at.parentElement));
    };
    let worst = { ratio: 21, of: '' }, seen = 0;
    for (const at of document.querySelectorAll('body *')) {
        const own = [...at.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        const field = ['INPUT', 'TEXTAREA', 'SELECT'].includes(at.tagName);
        if (!(own || field) || ['SCRIPT', 'OPTION'].includes(at.tagName) || !at.checkVisibility()) continue;
        const back = behind(at);
        for (const style of field ? [getComputedStyle(at), getComputedStyle(at, '::placeholder')] : [getComputedStyle(at)]) {
            const [a, b] = [light(over(parse(style.color), back)), light(back)].sort((x, y) => y - x);
            const ratio = (a + 0.05) / (b + 0.05);
            seen += 1;
            if (ratio < worst.ratio) worst = { ratio, of: `${at.tagName}.${at.className} ${at.textContent.slice(0, 40)}` };
        }
    }
    return { ...worst, seen };
}

for (const width of [375, 1440]) {
    for (const scheme of ['light', 'dark']) {
        test(`browser: the page is ${width} wide and ${scheme}: nothing sticks out, all can be read`, async () => {
            const { page, said } = await visited(width, scheme);
            await page.fill('#text', 'sources=5&frames=3&size=24&status=5'); // a chip of each kind
            await page.click('#post');
            await shows(page, '.source .chip', 'NOT_FOUND');
            await page.fill('#text', five);
            await page.click('#post');
            await shows(page, '#tree summary .facts', '5 sources');
            await page.locator('.source button').first().click();
            await shows(page, '.source .chip', 'dropped');
            await page.click('#more summary');
            await shows(page, '#counters', 'frames out');
            await page.evaluate(() => { fetch(`/event?event=${'event'.repeat(9)}&actor=${'actor'.repeat(20)}&mates=40&timeout=60000`); });
            await shows(page, '#events .chip', '40 missing');
            const { ratio, of, seen } = await page.evaluate(faintest);
            assert.ok(ratio >= 4.5 && seen > 60, `${ratio} of ${of}, ${seen}`);
            assert.strictEqual(await page.evaluate(() => document.documentElement.scrollWidth), width);
            assert.deepStrictEqual(said, []);
            await page.close();
        });
    }
}

test('browser: the page is one file, and may run nothing but itself', async () => {
    const { answer, page } = await visited();
    const asked = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    assert.match(answer.headers()['content-security-policy'], /^default-src 'none'; script-src 'sha256-[^ ]+'; style-src 'sha256-/);
    assert.ok((await answer.body()).length < 100000);
    await page.reload();
    await page.waitForResponse((each) => each.url().endsWith('/v1/stat'));
    assert.deepStrictEqual([...new Set(asked)].filter((path) => !['/', '/v1/stat', '/v1/services', '/stats', '/metrics'].includes(path)), []);
    assert.strictEqual(await page.evaluate(() => {
        const script = document.createElement('script');
        script.textContent = 'window.ran = true';
        document.body.append(script);
        return window.ran;
    }), undefined);
    await page.close();
});
