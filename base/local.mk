# base: answers, bytes, memory, lists, maps, the loop, channels between threads.
noinst_LTLIBRARIES += libbase.la
libbase_la_CFLAGS = $(AM_CFLAGS) $(LTO)
# files: base/*.c base/*.h
libbase_la_SOURCES = \
	base/base.h \
	base/chan.c \
	base/chan.h \
	base/chan__in.h \
	base/err.c \
	base/histogram.c \
	base/histogram.h \
	base/inner.h \
	base/list.h \
	base/loop.c \
	base/loop.h \
	base/loop__in.h \
	base/loop_io.c \
	base/loop_sleep.c \
	base/map.c \
	base/map.h \
	base/mem.c \
	base/mem.h \
	base/pool.c \
	base/pool__in.h \
	base/ref.c \
	base/ref.h \
	base/row.c \
	base/row.h \
	base/select.c \
	base/small.c \
	base/timer.c \
	base/trace.c \
	base/trace.h \
	base/turn.c \
	base/turn.h \
	base/wait.c
BASE_LIBS = libbase.la $(EVENT_LIBS)

baseincludedir = $(includedir)/chanserv/base
baseinclude_HEADERS = base/base.h base/chan.h base/histogram.h base/list.h base/loop.h
