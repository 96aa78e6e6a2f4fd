/* What a process holds: threads, descriptors, memory. */
#ifndef PROCESS_H
#define PROCESS_H

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

static inline int entries(const char *folder) {
    DIR *open = opendir(folder);
    int count = 0;
    while (open && readdir(open)) count++;
    if (open) closedir(open);
    return count;
}

static inline int threads(void) { return entries("/proc/self/task") - 2; }

/* One more than there are: the folder's own. */
static inline int descriptors(void) { return entries("/proc/self/fd") - 2; }

static inline long resident_kib(void) {
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm) {
        if (fscanf(statm, "%*d %ld", &pages) != 1) pages = 0;
        fclose(statm);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Threads that are ending may take a moment. */
static inline int threads_left(int wanted) {
    for (int i = 0; i < 500 && threads() > wanted; i++) usleep(10000);
    return threads();
}

#endif
