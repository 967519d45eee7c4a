/* GET /, and what the page needs beside the other routes: a source of a post that ends alone. */
#include "browser.h"
#include "gateway/page__in.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct browser b, post;

static void up(const struct gateway_options *options)
{
    cr_assert_eq(world_up(options), CS_OK);
    browser_init(&b);
    browser_init(&post);
}

static void down(void)
{
    browser_fini(&post);
    browser_fini(&b);
    world_down();
}

static int ask(const char *what)
{
    browser_fini(&b);
    browser_init(&b);
    cr_assert_eq(browser_ask(&b, what, NULL, NULL), CS_OK);
    return b.status;
}

/* "DELETE ..." of the source that was announced last. */
static const char *drop(void)
{
    static char text[256];
    const char *at = post.body, *url = NULL;

    while ((at = strstr(at, "/v1/source/")))
        url = at++;
    snprintf(text, sizeof text, "DELETE %.*s", (int)strcspn(url ? url : "", "\""), url ? url : "");
    return text;
}

Test(page, is_served_whole_and_may_do_no_more_than_it_must)
{
    up(NULL);
    cr_assert_eq(ask("GET /"), 200);
    cr_expect_eq(b.len, gateway__page.len);
    cr_expect_eq(memcmp(b.body, gateway__page.base, b.len), 0);
    cr_expect_str_eq(browser_header(&b, "content-type"), "text/html; charset=utf-8");
    cr_expect_str_eq(browser_header(&b, "content-security-policy"), gateway__page_policy);
    cr_expect_eq(strncmp(gateway__page_policy, "default-src 'none'; ", 20), 0);
    cr_expect_null(strstr(gateway__page_policy, "unsafe"));
    cr_expect_eq(ask("GET /index.html"), 404);
    down();
}

Test(page, is_for_anybody_and_what_it_asks_is_not)
{
    up(NULL);
    world.verdict = CS_EAUTH;
    cr_expect_eq(ask("GET /"), 200);
    cr_expect_eq(ask("GET /v1/stat"), 401);
    down();
}

Test(page, is_not_there_with_no_page)
{
    up(&(struct gateway_options){.no_page = true});
    cr_expect_eq(ask("GET /"), 404);
    cr_expect_eq(ask("GET /v1/services"), 200);
    down();
}

Test(page, a_source_that_was_named_is_dropped_alone)
{
    char first[256];

    up(NULL);
    post.room = 4000;
    cr_assert_eq(browser_ask(&post, "POST /v1/post/gen?mode=named", NULL, "2 9000 10"), CS_OK);
    snprintf(first, sizeof first, "%s", drop());
    cr_assert_eq(ask(first), 204, "%s", first);
    browser_room(&post, 8000);
    cr_expect(strstr(post.body, "{\"end\":{\"source\":1,\"code\":\"CANCELLED\""));
    cr_expect_eq(ask(first), 404, "it has ended, and the post goes on");
    browser_room(&post, BROWSER_BODY);
    cr_expect(post.finished);
    cr_expect_null(strstr(post.body, "{\"frame\":{\"source\":1,\"seq\":8999,"));
    cr_expect(strstr(post.body, "{\"frame\":{\"source\":0,\"seq\":8999,"));
    cr_expect(strstr(post.body,
                     "{\"end\":{\"source\":0,\"code\":\"OK\"}}\n{\"end\":{\"code\":\"OK\"}}\n"));
    down();
}

Test(page, names_go_with_the_post)
{
    up(NULL);
    cr_assert_eq(browser_ask(&post, "POST /v1/post/slow?mode=named", NULL, ""), CS_OK);
    cr_assert(strstr(post.body, "\"url\":\"/v1/source/"), "%s", post.body);
    browser_leave(&post);
    cr_expect_eq(ask(drop()), 404);
    cr_expect_eq(ask("DELETE /v1/source/00"), 404);
    cr_expect_eq(ask("DELETE /v1/source/what"), 404);
    down();
}

Test(page, who_asked_for_no_names_has_none)
{
    up(NULL);
    cr_assert_eq(browser_ask(&post, "POST /v1/post/slow", NULL, ""), CS_OK);
    cr_expect_null(strstr(post.body, "url"));
    down();
}

static void story(void)
{
    if (world_up(NULL) == CS_OK) {
        browser_init(&b);
        browser_init(&post);
        (void)browser_ask(&b, "GET /", NULL, NULL);
        cr_assert(failing_failed() || b.len == gateway__page.len);
        browser_fini(&b);
        browser_init(&b);
        (void)browser_ask(&post, "POST /v1/post/slow?mode=named", NULL, "");
        (void)browser_ask(&b, drop(), NULL, NULL);
        cr_assert(failing_failed() || b.status == 204);
        browser_fini(&b);
        browser_fini(&post);
    }
    world_down();
}

Test(page, survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(story), 50);
}
