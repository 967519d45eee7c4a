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
