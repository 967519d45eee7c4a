/* victim -- see victim.h. */
#include "test/attack/victim.h"

#include "test/attack/peer.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 64, COUNT_MS = 5000 };
static const char COUNTERS[] = "chanserv serve: counters:";

/* ---- A process ------------------------------------------------------------------------------- */

static void become(const char *tool, char *options, int out, int err)
{
    char *words[WORDS] = {(char *)tool, (char *)"serve"};
    int n = 2;
    for (char *word = strtok(options, " "); word && n < WORDS - 1; word = strtok(NULL, " "))
        words[n++] = word;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    setenv("CHANSERV_LOG", "warn", 1);
    execv(tool, words);
    perror(tool);
    _exit(127);
}

/* "listening 127.0.0.1:PORT", which comes when it is ready. */
static int port_of(int out)
{
    char line[256];
    size_t n = 0;
    const char *colon;
    while (n < sizeof line - 1 && read(out, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
    colon = strrchr(line, ':');
    return strncmp(line, "listening ", 10) == 0 && colon ? atoi(colon + 1) : 0;
}

bool victim_start(struct victim *victim, const char *tool, const char *options, int data_mib)
{
    char words[2048];
    int out[2];
    snprintf(words, sizeof words, "--listen 127.0.0.1:0 %s", options);
    victim->said = memfd_create("said", MFD_CLOEXEC);
    if (victim->said < 0 || pipe2(out, O_CLOEXEC) != 0)
        return false;
    (void)fcntl(victim->said, F_SETFL, O_APPEND);
    victim->counters[0] = '\0';
    victim->pid = fork();
    if (victim->pid == 0 && data_mib > 0) {
        const struct rlimit data = {(rlim_t)data_mib << 20, (rlim_t)data_mib << 20};
        (void)setrlimit(RLIMIT_DATA, &data);
    }
    if (victim->pid == 0)
        become(tool, words, out[1], victim->said);
    close(out[1]);
    victim->port = victim->pid > 0 ? port_of(out[0]) : 0;
    close(out[0]);
    return victim->port > 0;
}

bool victim_is_alive(const struct victim *victim)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)victim->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

bool victim_stop(struct victim *victim, int ms)
{
    int64_t until = now_ms() + ms;
    int status = -1;
    kill(victim->pid, SIGTERM);
    while (waitpid(victim->pid, &status, WNOHANG) == 0) {
        if (now_ms() > until) {
            kill(victim->pid, SIGKILL);
            waitpid(victim->pid, &status, 0);
            break;
        }
        nap_ms(5);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- From outside ---------------------------------------------------------------------------- */

static FILE *file_of(const struct victim *victim, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)victim->pid, name);
    return fopen(path, "re");
}

static int64_t cpu_of(const struct victim *victim)
{
    unsigned long long user = 0, system = 0;
    FILE *file = file_of(victim, "stat");
    if (!file)
        return 0;
    if (fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
               &system) != 2)
        user = system = 0;
    fclose(file);
    return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

static int fds_of(const struct victim *victim)
{
    char path[64];
    DIR *dir;
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)victim->pid);
    if (!(dir = opendir(path)))
        return -1;
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

struct look victim_look(const struct victim *victim)
{
    struct look look = {.fds = fds_of(victim), .cpu_ms = cpu_of(victim)};
    FILE *file = file_of(victim, "status");
    char line[256];
    long long kib;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "VmHWM: %lld", &kib) == 1)
            look.peak = kib * 1024;
        else if (sscanf(line, "VmRSS: %lld", &kib) == 1)
            look.rss = kib * 1024;
    }
    if (file)
        fclose(file);
    return look;
}

void victim_forget_peak(const struct victim *victim)
{
    char path[64];
    int fd;
    snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)victim->pid);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    (void)!write(fd, "5", 1);
    close(fd);
}

/* ---- Its words ------------------------------------------------------------------------------- */

static off_t end_of(const struct victim *victim)
{
    return lseek(victim->said, 0, SEEK_END);
}

bool victim_count(struct victim *victim)
{
    int64_t until = now_ms() + COUNT_MS;
    off_t from = end_of(victim);
    kill(victim->pid, SIGUSR1);
    do {
        ssize_t n = pread(victim->said, victim->counters, sizeof victim->counters - 1, from);
        victim->counters[n > 0 ? n : 0] = '\0';
        char *line = strstr(victim->counters, COUNTERS);
        if (line && strchr(line, '\n')) {
            memmove(victim->counters, line, strlen(line) + 1);
            return true;
        }
        nap_ms(2);
    } while (now_ms() < until && victim_is_alive(victim));
    return false;
}

int64_t victim_counter(const struct victim *victim, const char *name)
{
    char key[128];
    const char *at;
    snprintf(key, sizeof key, " %s=", name);
    at = strstr(victim->counters, key);
    return at ? atoll(at + strlen(key)) : -1;
}

size_t victim_words(const struct victim *victim, char *to, size_t size)
{
    size_t total = (size_t)end_of(victim), kept = 0, bytes = 0;
    char *all = malloc(total + 1), *line, *rest = all;
    to[0] = '\0';
    if (!all || pread(victim->said, all, total, 0) < 0)
        return free(all), 0;
    all[total] = '\0';
    while ((line = strsep(&rest, "\n"))) {
        size_t len = strlen(line);
        if (len == 0 || strncmp(line, COUNTERS, sizeof COUNTERS - 1) == 0)
            continue;
        bytes += len + 1;
        if (kept + len + 2 < size)
            kept += (size_t)snprintf(to + kept, size - kept, "%s\n", line);
    }
    free(all);
    return bytes;
}
