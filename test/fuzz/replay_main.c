/* Replays inputs through a fuzz entry, so that a corpus is a test without any fuzzer:
 *
 *   wire_replay FILE-OR-DIRECTORY ...
 *
 * Directories are gone through, with those in them.  Nothing replayed is a failure. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t replayed;

static int failed(const char *path)
{
    perror(path);
    return 1;
}

static int file_replay(const char *path, size_t len)
{
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    FILE *file = fopen(path, "rb");
    int result = 0;

    if (!bytes || !file || fread(bytes, 1, len, file) != len)
        result = failed(path);
    else if (LLVMFuzzerTestOneInput(bytes, len) == 0)
        replayed++;
    if (file)
        fclose(file);
    free(bytes);
    return result;
}

static int path_replay(const char *path);

static int directory_replay(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    char inside[4096];
    int result = 0;

    if (!directory)
        return failed(path);
    while (result == 0 && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        int n = snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        result = n < (int)sizeof inside ? path_replay(inside) : failed(path);
    }
    closedir(directory);
    return result;
}

static int path_replay(const char *path)
{
    struct stat about;

    if (stat(path, &about) != 0)
        return failed(path);
    if (S_ISDIR(about.st_mode))
        return directory_replay(path);
    return file_replay(path, (size_t)about.st_size);
}

int main(int argc, char **argv)
{
    int result = 0;

    for (int i = 1; i < argc && result == 0; i++)
        result = path_replay(argv[i]);
    printf("%s: %zu inputs replayed\n", argv[0], replayed);
    return result != 0 || replayed == 0;
}
