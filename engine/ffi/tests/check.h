/* What the C programs of the tests share. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <visavis.h>

/* A call that has to return this. */
#define EXPECT(wanted, call)                                                                          \
    do {                                                                                              \
        visavis_status got_ = (call);                                                                 \
        if (got_ != (wanted)) {                                                                       \
            fprintf(stderr, "%s:%d: %s: %s instead of %s: %s\n", __FILE__, __LINE__, #call,           \
                    visavis_status_name(got_), #wanted, visavis_last_error());                        \
            exit(1);                                                                                  \
        }                                                                                             \
    } while (0)

#define OK(call) EXPECT(VISAVIS_OK, call)

/* Something that has to be true. */
#define CHECK(truth)                                                                                  \
    do {                                                                                              \
        if (!(truth)) {                                                                               \
            fprintf(stderr, "%s:%d: not true: %s; last error: %s\n", __FILE__, __LINE__, #truth,      \
                    visavis_last_error());                                                            \
            exit(1);                                                                                  \
        }                                                                                             \
    } while (0)

/* A call that has to fail like this, with these words. */
#define SAYS(wanted, words, call)                                                                     \
    do {                                                                                              \
        EXPECT(wanted, call);                                                                         \
        CHECK(strstr(visavis_last_error(), words));                                                   \
    } while (0)

#endif
