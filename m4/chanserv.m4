dnl CHANSERV_ADD_CFLAGS(VARIABLE, FLAGS): those of FLAGS that the compiler takes, added to VARIABLE.
dnl -Werror, because clang only warns about an option it does not know.
AC_DEFUN([CHANSERV_ADD_CFLAGS], [
    for chanserv_flag in m4_normalize([$2]); do
        AC_MSG_CHECKING([whether $CC takes $chanserv_flag])
        chanserv_saved=$CFLAGS
        CFLAGS="$CFLAGS -Werror $chanserv_flag"
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
            [AC_MSG_RESULT([yes])
             $1="$$1 $chanserv_flag"],
            [AC_MSG_RESULT([no])])
        CFLAGS=$chanserv_saved
    done
])

dnl CHANSERV_LINKS_WITH(FLAGS, IF-YES): do a compiler and a linker take them, all together?
AC_DEFUN([CHANSERV_LINKS_WITH], [
    AC_MSG_CHECKING([whether $CC links with $1])
    chanserv_saved=$CFLAGS
    CFLAGS="$CFLAGS -Werror $1"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [chanserv_links=yes], [chanserv_links=no])
    CFLAGS=$chanserv_saved
    AC_MSG_RESULT([$chanserv_links])
    AS_IF([test $chanserv_links = yes], [$2])
])
