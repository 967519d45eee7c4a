/* The grammar of Kubernetes, case by case, and labels. */
#include "services/rendezvous/labels.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static bool takes(const char *selector, const char *labels)
{
    struct rendezvous__selector s;
    struct rendezvous__labels l;
    char why[RENDEZVOUS__WHY];

    cr_assert_eq(rendezvous__selector_parse(cs_str(selector), &s, why), CS_OK, "%s: %s", selector,
                 why);
    if (labels[0])
        cr_assert_eq(rendezvous__labels_parse(cs_str(labels), &l, why), CS_OK, "%s", why);
    else
        l = (struct rendezvous__labels){0};
    bool is = rendezvous__selector_takes(&s, &l);
    rendezvous__selector_fini(&s);
    rendezvous__labels_fini(&l);
    return is;
}

static const char *wrong(const char *selector)
{
    static char why[RENDEZVOUS__WHY];
    struct rendezvous__selector s;

    cr_assert_eq(rendezvous__selector_parse(cs_str(selector), &s, why), CS_EINVAL, "%s", selector);
    return why;
}

Test(selector, takes_what_it_says)
{
    static const struct {
        const char *selector, *labels;
        bool takes;
    } rows[] = {
        {"", "", true},
        {"", "a=b", true},
        {" \t\r\n", "a=b", true},
        {"x", "x=a", true},
        {"x", "x=", true},
        {"x", "y=a", false},
        {"!x", "y=a", true},
        {"! x", "x=a", false},
        {"x=a", "x=a", true},
        {"x==a", "x=a", true},
        {"x = a", "x=b", false},
        {"x=a", "", false},
        {"x=", "x=", true},
        {"x==", "x=", true},
        {"x=", "x=a", false},
        {"x=", "", false},
        {"x= ,y=b", "x=,y=b", true},
        {"x!=a", "x=b", true},
        {"x!=a", "", true},
        {"x!=a", "x=a", false},
        {"x!=", "x=", false},
        {"x!=", "x=a", true},
        {"x in (a,b)", "x=b", true},
        {"x in (a,b)", "x=c", false},
        {"x in (a,b)", "", false},
        {"x in ()", "x=", true},
        {"x in ()", "x=a", false},
        {"x in (,a)", "x=", true},
        {"x in (a,)", "x=", true},
        {"x in (,)", "x=", true},
        {"x in (a,,b)", "x=", true},
        {"x in (a, b ,c)", "x=c", true},
        {"x in(a)", "x=a", true},
        {"x notin (a,b)", "x=c", true},
        {"x notin (a,b)", "", true},
        {"x notin (a,b)", "x=a", false},
        {"in in (in)", "in=in", true},
        {"notin notin (in,notin)", "notin=notin", false},
        {"notin", "notin=", true},
        {"x = in", "x=in", true},
        {"x > 1", "x=2", true},
        {"x > 1", "x=1", false},
        {"x > 1", "x=b", false},
        {"x > 1", "", false},
        {"x < 10", "x=-3", true},
        {"x<10,x>5", "x=7", true},
        {"x<10,x>5", "x=3", false},
        {"x > 9223372036854775806", "x=9223372036854775807", true},
        {"x > 1", "x=9223372036854775808", false},
        {"x > 007", "x=0000000000000000000008", true},
        {"x=a,y=b", "x=a,y=b", true},
        {"x=a,y=b", "x=a,y=c", false},
        {"x=a,x=b", "x=a", false},
        {"a.b-c/D_e.f=G", "a.b-c/D_e.f=G", true},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_assert_eq(takes(rows[i].selector, rows[i].labels), rows[i].takes, "\"%s\" of \"%s\"",
                     rows[i].selector, rows[i].labels);
}

Test(selector, says_where_it_went_wrong)
{
    static const char *const rows[][2] = {
        {"x=a||y=b", "column 3: found \"a||y\"; expected a value"},
        {",", "column 1: found \",\"; expected a key"},
        {"x,", "column 3: it ends here; expected a key"},
        {"x,,y", "column 3: found \",\"; expected a key"},
        {"!x=a", "column 3: found \"=\"; expected \",\" or the end"},
        {"!", "column 2: it ends here; expected a key"},
        {"=a", "column 1: found \"=\"; expected a key"},
        {"x===a", "column 4: found \"=\"; expected a value"},
        {"x=!a", "column 3: found \"!\"; expected a value"},
        {"x a", "column 3: found \"a\"; expected"},
        {"x in a", "column 6: found \"a\"; expected \"(\""},
        {"x in", "column 5: it ends here; expected \"(\""},
        {"x in (a", "column 8: it ends here; expected \",\" or \")\""},
        {"x in (a b)", "column 9: found \"b\"; expected \",\" or \")\""},
        {"x in (a) b", "column 10: found \"b\"; expected \",\" or the end"},
        {"x > a", "column 5: found \"a\"; expected an integer"},
        {"x > -1", "column 5: found \"-1\"; expected an integer"},
        {"x > ", "column 5: it ends here; expected an integer"},
        {"x > 9223372036854775808", "expected an integer"},
        {"x >= 1", "column 4: found \"=\"; expected an integer"},
        {"-x", "column 1: found \"-x\"; expected a key: [domain/]name"},
        {"x/y/z", "expected a key"},
        {"/y", "expected a key"},
        {"X.y/z", "expected a key"},
        {"a..b/z", "expected a key"},
        {"a-.b/z", "expected a key"},
        {"x=a/b", "column 3: found \"a/b\"; expected a value"},
        {"x=-a", "expected a value"},
        {"x=0123456789012345678901234567890123456789012345678901234567890123", "expected a value"},
        {"(x)", "column 1: found \"(\"; expected a key"},
        {"x)", "column 2: found \")\"; expected"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_assert(strstr(wrong(rows[i][0]), rows[i][1]), "\"%s\": %s", rows[i][0],
                  wrong(rows[i][0]));
}

/* Whatever stands there, nothing is read behind its end (ASan), and what was accepted is of this grammar. */
Test(selector, survives_whatever_comes)
{
    static const char alphabet[] = "ab=!(),<> \tin1-./";
    unsigned seed = 1;

    for (int i = 0; i < 200000; i++) {
        char *text = malloc(13), why[RENDEZVOUS__WHY];
        size_t len = (size_t)(seed >> 8) % 13;
        struct rendezvous__selector s;
        for (size_t at = 0; at < len; at++) {
            seed = seed * 1103515245 + 12345;
            text[at] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
        }
        seed = seed * 1103515245 + 12345;
        text = realloc(text, len > 0 ? len : 1);
        if (rendezvous__selector_parse(cs_bytes_of(text, len), &s, why) == CS_OK)
            rendezvous__selector_fini(&s);
        free(text);
    }
}

Test(labels, are_pairs_and_the_last_wins)
{
    struct rendezvous__labels l;
    char why[RENDEZVOUS__WHY];

    cr_assert_eq(rendezvous__labels_parse(cs_str("b=1, a=2,b=3,=,c="), &l, why), CS_OK);
    cr_assert_eq(l.len, 4);
    cr_assert(cs_same(*rendezvous__label(&l, cs_str("b")), cs_str("3")));
    cr_assert(cs_same(*rendezvous__label(&l, cs_str(" a")), cs_str("2")), "nothing is trimmed");
    cr_assert(cs_same(*rendezvous__label(&l, cs_str("")), cs_str("")));
    cr_assert_null(rendezvous__label(&l, cs_str("a")));
    rendezvous__labels_fini(&l);
    cr_assert_eq(rendezvous__labels_parse(cs_str("a=b,x"), &l, why), CS_EINVAL);
    cr_assert_str_eq(why, "column 5: \"x\" is not KEY=VALUE");
    cr_assert_eq(rendezvous__labels_parse(cs_str("a=b=c"), &l, why), CS_EINVAL);
    cr_assert_eq(rendezvous__labels_parse(cs_str("a=b,"), &l, why), CS_EINVAL);
}

Test(labels, of_an_actor_are_its_name_whatever_bytes_it_has)
{
    struct rendezvous__labels l;
    struct rendezvous__selector s;

    cr_assert_eq(rendezvous__labels_of(cs_str("a b,c=d"), &l), CS_OK);
    cr_assert_eq(rendezvous__selector_of(cs_str("a b,c=d"), &s), CS_OK);
    cr_assert_not(rendezvous__selector_takes(&s, &l));
    rendezvous__labels_fini(&l);
    cr_assert_eq(rendezvous__labels_of(cs_str("another"), &l), CS_OK);
    cr_assert(rendezvous__selector_takes(&s, &l));
    rendezvous__labels_fini(&l);
    rendezvous__selector_fini(&s);
}
