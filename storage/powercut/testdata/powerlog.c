/*
 * powerlog records what a program does through libc to the files of one folder, and when it asked for that to be durable. A test
 * preloads it below the real program (LD_PRELOAD) and later builds from the record what a disk could hold after a power cut at any
 * moment of the program's life.
 *
 *   POWER_FOLDER  the folder, an absolute path without symbolic links
 *   POWER_LOG     the record, appended to
 *
 * The record is a sequence of struct record, each followed by its data. A call is recorded after it has worked and before its caller
 * goes on, so what is recorded before an fsync was written before it. fsync itself is only recorded: the page cache outlives the
 * process, and durable is what the test says. Only the calls that SQLite makes are known here; the test refuses a program that
 * imports others. The bot's Go code makes system calls without libc and is not seen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPENED = 1, WRITTEN, TRUNCATED, SYNCED, FOLDER_SYNCED, UNLINKED };

struct record {
	uint32_t what;
	uint32_t file;   /* number of the open() */
	int64_t offset;  /* WRITTEN: where; TRUNCATED: the new size */
	int64_t length;  /* of the data: what was written, or the file's name */
};

#define FILES 65536
#define FOLDER UINT32_MAX

static uint32_t file_of[FILES]; /* by descriptor; 0: none of ours */
static uint32_t opened;
static int record_fd = -1;
static char folder[4096];
static size_t folder_length;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int (*real_open64)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate64)(int, off64_t);
static int (*real_fsync)(int);
static int (*real_unlink)(const char *);

static void give_up(const char *why) {
	dprintf(2, "powerlog: %s\n", why);
	abort();
}

__attribute__((constructor)) static void begin(void) {
	real_open64 = dlsym(RTLD_NEXT, "open64");
	real_close = dlsym(RTLD_NEXT, "close");
	real_pwrite64 = dlsym(RTLD_NEXT, "pwrite64");
	real_write = dlsym(RTLD_NEXT, "write");
	real_ftruncate64 = dlsym(RTLD_NEXT, "ftruncate64");
	real_fsync = dlsym(RTLD_NEXT, "fsync");
	real_unlink = dlsym(RTLD_NEXT, "unlink");
	const char *f = getenv("POWER_FOLDER"), *l = getenv("POWER_LOG");
	if (!f || !l || strlen(f) >= sizeof folder)
		give_up("POWER_FOLDER and POWER_LOG are wanted");
	strcpy(folder, f);
	folder_length = strlen(folder);
	record_fd = real_open64(l, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (record_fd < 0)
		give_up("POWER_LOG cannot be opened");
}

/* name_of is a path's name in the folder, "" for the folder itself, NULL elsewhere. */
static const char *name_of(const char *path) {
	if (strncmp(path, folder, folder_length) != 0)
		return NULL;
	if (path[folder_length] == 0)
		return "";
	if (path[folder_length] != '/' || strchr(path + folder_length + 1, '/'))
		return NULL;
	return path + folder_length + 1;
}

static uint32_t file_at(int fd) { return fd >= 0 && fd < FILES ? __atomic_load_n(&file_of[fd], __ATOMIC_ACQUIRE) : 0; }

/* Called with the mutex held. */
static void note(uint32_t what, uint32_t file, int64_t offset, const void *data, size_t length) {
	struct record r = {what, file, offset, (int64_t)length};
	struct iovec parts[2] = {{&r, sizeof r}, {(void *)data, length}};
	if (syscall(SYS_writev, record_fd, parts, 2) != (long)(sizeof r + length))
		give_up("the record cannot be written");
}

int open64(const char *path, int flags, ...) {
	va_list more;
	va_start(more, flags);
	mode_t mode = va_arg(more, mode_t);
	va_end(more);
	const char *name = name_of(path);
	if (!name)
		return real_open64(path, flags, mode);
	size_t n = strlen(name);
	if (n > 4 && strcmp(name + n - 4, "-shm") == 0)
		return real_open64(path, flags, mode); /* shared memory, made anew at each start */
	pthread_mutex_lock(&mutex);
	int fd = real_open64(path, flags, mode);
	if (fd >= FILES)
		give_up("too many descriptors");
	if (fd >= 0) {
		uint32_t file = *name ? ++opened : FOLDER;
		__atomic_store_n(&file_of[fd], file, __ATOMIC_RELEASE);
		if (file != FOLDER) {
			note(OPENED, file, 0, name, n);
			if (flags & O_TRUNC)
				note(TRUNCATED, file, 0, NULL, 0);
		}
	}
	pthread_mutex_unlock(&mutex);
	return fd;
}

int close(int fd) {
	if (file_at(fd))
		__atomic_store_n(&file_of[fd], 0, __ATOMIC_RELEASE);
	return real_close(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
	uint32_t file = file_at(fd);
	if (!file)
		return real_pwrite64(fd, data, length, offset);
	pthread_mutex_lock(&mutex);
	ssize_t n = real_pwrite64(fd, data, length, offset);
	if (n > 0)
		note(WRITTEN, file, offset, data, n);
	pthread_mutex_unlock(&mutex);
	return n;
}

ssize_t write(int fd, const void *data, size_t length) {
	if (file_at(fd))
		give_up("write() without an offset");
	return real_write(fd, data, length);
}

int ftruncate64(int fd, off64_t size) {
	uint32_t file = file_at(fd);
	if (!file)
		return real_ftruncate64(fd, size);
	pthread_mutex_lock(&mutex);
	int n = real_ftruncate64(fd, size);
	if (n == 0)
		note(TRUNCATED, file, size, NULL, 0);
	pthread_mutex_unlock(&mutex);
	return n;
}

int fsync(int fd) {
	uint32_t file = file_at(fd);
	if (!file)
		return real_fsync(fd);
	pthread_mutex_lock(&mutex);
	note(file == FOLDER ? FOLDER_SYNCED : SYNCED, file, 0, NULL, 0);
	pthread_mutex_unlock(&mutex);
	return 0;
}

int unlink(const char *path) {
	const char *name = name_of(path);
	if (!name)
		return real_unlink(path);
	pthread_mutex_lock(&mutex);
	int n = real_unlink(path);
	if (n == 0)
		note(UNLINKED, 0, 0, name, strlen(name));
	pthread_mutex_unlock(&mutex);
	return n;
}
