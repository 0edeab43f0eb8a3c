/*
 * LD_PRELOAD recorder for the power-cut tests: whatever changes a file or a directory under $CPNS_POWER_ROOT is done and
 * then written, in order and with its data, to $CPNS_POWER_LOG; so is each sync, and what a program writes to
 * $CPNS_POWER_MARKS (what it would acknowledge at that moment). Several processes may share one log: operation and record
 * are one step under a lock. Must not keep a table of descriptors: /proc says what a descriptor is, however it was come by.
 * What it can't record faithfully becomes a record of kind UNKNOWN, on which the reader fails. Format: recording.ts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_DIR, UNLINK, RENAME, LINK, MKDIR, RMDIR, MARK, UNKNOWN };

struct header {
  uint32_t length, kind, first, second, data, pid;
  uint64_t inode;
  int64_t offset;
};

static char root[PATH_MAX], marks[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
  const char *r = getenv("CPNS_POWER_ROOT"), *l = getenv("CPNS_POWER_LOG"), *m = getenv("CPNS_POWER_MARKS");
  if (!r || !l || !realpath(r, root)) return;
  root_length = strlen(root);
  if (!m || !realpath(m, marks)) marks[0] = 0;
  int fd = syscall(SYS_openat, AT_FDCWD, l, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;
  log_fd = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 700);
  syscall(SYS_close, fd);
}

static void lock(void) {
  pthread_mutex_lock(&mutex);
  flock(log_fd, LOCK_EX);
}

static void unlock(void) {
  int saved = errno;
  flock(log_fd, LOCK_UN);
  pthread_mutex_unlock(&mutex);
  errno = saved;
}

static void record(uint32_t kind, const char *first, const char *second, uint64_t inode, int64_t offset,
                   const void *data, size_t size) {
  int saved = errno;
  struct header h = {0};
  h.kind = kind;
  h.first = first ? strlen(first) : 0;
  h.second = second ? strlen(second) : 0;
  h.data = size;
  h.pid = getpid();
  h.inode = inode;
  h.offset = offset;
  h.length = sizeof h + h.first + h.second + size;
  struct iovec parts[4] = {{&h, sizeof h}, {(void *)first, h.first}, {(void *)second, h.second}, {(void *)data, size}};
  if (syscall(SYS_writev, log_fd, parts, 4) != (long)h.length) abort();
  errno = saved;
}

static int under(const char *path) {
  return log_fd >= 0 && strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

/* The absolute name of a path, its folder resolved; 0 when it isn't under the root. */
static int resolve(int dirfd, const char *path, char *out) {
  if (log_fd < 0 || !path) return 0;
  char full[PATH_MAX * 2], folder[PATH_MAX];
  if (path[0] == '/') snprintf(full, sizeof full, "%s", path);
  else {
    char base[PATH_MAX];
    if (dirfd == AT_FDCWD) {
      if (!getcwd(base, sizeof base)) return 0;
    } else {
      char link[64];
      snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
      ssize_t n = readlink(link, base, sizeof base - 1);
      if (n < 0) return 0;
      base[n] = 0;
    }
    snprintf(full, sizeof full, "%s/%s", base, path);
  }
  size_t n = strlen(full);
  while (n > 1 && full[n - 1] == '/') full[--n] = 0;
  char *slash = strrchr(full, '/');
  if (!slash) return 0;
  *slash = 0;
  int saved = errno;
  char *real = realpath(*full ? full : "/", folder);
  errno = saved;
  if (!real) return 0;
  if (snprintf(out, PATH_MAX, "%s/%s", folder, slash + 1) >= PATH_MAX) return 0;
  return under(out);
}

/* What a descriptor is: 'f' a file under the root, 'd' a directory there, 'm' the marks, 0 anything else. */
static char what(int fd, char *path, struct stat *st) {
  if (log_fd < 0 || fd == log_fd) return 0;
  int saved = errno;
  char kind = 0, link[64];
  if (fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n > 0) {
      path[n] = 0;
      if (marks[0] && strcmp(path, marks) == 0) kind = 'm';
      else if (under(path)) kind = S_ISREG(st->st_mode) ? 'f' : 'd';
    }
  }
  errno = saved;
  return kind;
}

/* Opening: of interest when it makes or empties a file. */
static int open_recorded(int dirfd, const char *path, int flags, mode_t mode) {
  char name[PATH_MAX];
  if (!(flags & (O_CREAT | O_TRUNC)) || !resolve(dirfd, path, name)) return syscall(SYS_openat, dirfd, path, flags, mode);
  lock();
  struct stat before, after;
  int was = lstat(name, &before) == 0;
  int fd = syscall(SYS_openat, dirfd, path, flags, mode);
  if (fd >= 0 && fstat(fd, &after) == 0) {
    if ((flags & O_TMPFILE) == O_TMPFILE) record(UNKNOWN, "O_TMPFILE", 0, 0, 0, 0, 0);
    if (!was) record(CREATE, name, 0, after.st_ino, 0, 0, 0);
    else if (flags & O_TRUNC) record(TRUNCATE, name, 0, after.st_ino, 0, 0, 0);
  }
  unlock();
  return fd;
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | __O_TMPFILE)) { \
    va_list list; \
    va_start(list, flags); \
    mode = va_arg(list, mode_t); \
    va_end(list); \
  }

int open(const char *path, int flags, ...) { MODE(flags) return open_recorded(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_recorded(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int dirfd, const char *path, int flags, ...) { MODE(flags) return open_recorded(dirfd, path, flags, mode); }
int openat64(int dirfd, const char *path, int flags, ...) { MODE(flags) return open_recorded(dirfd, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return open_recorded(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* Writing. Without an offset the place is read before, or is the end in append mode. */
static ssize_t written(int fd, const struct iovec *parts, int count, int64_t offset, int positional) {
  char path[PATH_MAX];
  struct stat st;
  char kind = what(fd, path, &st);
  if (!kind) return positional ? syscall(SYS_pwritev, fd, parts, count, (long)offset, 0L) : syscall(SYS_writev, fd, parts, count);
  lock();
  fstat(fd, &st);
  if (!positional) {
    offset = syscall(SYS_lseek, fd, 0L, SEEK_CUR);
    if (syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND) offset = st.st_size;
  }
  ssize_t done = positional ? syscall(SYS_pwritev, fd, parts, count, (long)offset, 0L) : syscall(SYS_writev, fd, parts, count);
  if (done > 0) {
    char *data = malloc(done);
    size_t have = 0;
    for (int i = 0; i < count && have < (size_t)done; i++) {
      size_t n = parts[i].iov_len < done - have ? parts[i].iov_len : done - have;
      memcpy(data + have, parts[i].iov_base, n);
      have += n;
    }
    record(kind == 'm' ? MARK : WRITE, path, 0, st.st_ino, offset, data, done);
    free(data);
  }
  unlock();
  return done;
}

ssize_t write(int fd, const void *data, size_t size) {
  char path[PATH_MAX];
  struct stat st;
  if (!what(fd, path, &st)) return syscall(SYS_write, fd, data, size);
  struct iovec part = {(void *)data, size};
  return written(fd, &part, 1, 0, 0);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  struct iovec part = {(void *)data, size};
  return written(fd, &part, 1, offset, 1);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { return pwrite(fd, data, size, offset); }
ssize_t writev(int fd, const struct iovec *parts, int count) { return written(fd, parts, count, 0, 0); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return written(fd, parts, count, offset, 1); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return written(fd, parts, count, offset, 1); }

int ftruncate(int fd, off_t size) {
  char path[PATH_MAX];
  struct stat st;
  if (what(fd, path, &st) != 'f') return syscall(SYS_ftruncate, fd, size);
  lock();
  int result = syscall(SYS_ftruncate, fd, size);
  if (result == 0) record(TRUNCATE, path, 0, st.st_ino, size, 0, 0);
  unlock();
  return result;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

/* Syncing: recorded once it has returned. */
static int synced(int fd, long call) {
  char path[PATH_MAX];
  struct stat st;
  char kind = what(fd, path, &st);
  if (kind != 'f' && kind != 'd') return syscall(call, fd);
  lock();
  int result = syscall(call, fd);
  if (result == 0) record(kind == 'd' ? SYNC_DIR : SYNC, path, 0, st.st_ino, 0, 0, 0);
  unlock();
  return result;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

/* Names. */
static int removed(int dirfd, const char *path, int flags) {
  char name[PATH_MAX];
  if (!resolve(dirfd, path, name)) return syscall(SYS_unlinkat, dirfd, path, flags);
  lock();
  int result = syscall(SYS_unlinkat, dirfd, path, flags);
  if (result == 0) record(flags & AT_REMOVEDIR ? RMDIR : UNLINK, name, 0, 0, 0, 0, 0);
  unlock();
  return result;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int dirfd, const char *path, int flags) { return removed(dirfd, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }

static int renamed(int fromfd, const char *from, int tofd, const char *to, unsigned flags) {
  char a[PATH_MAX], b[PATH_MAX];
  int in = resolve(fromfd, from, a), out = resolve(tofd, to, b);
  if (!in && !out) return syscall(SYS_renameat2, fromfd, from, tofd, to, flags);
  lock();
  int result = syscall(SYS_renameat2, fromfd, from, tofd, to, flags);
  if (result == 0) record(in && out && flags == 0 ? RENAME : UNKNOWN, in ? a : "rename", out ? b : "rename", 0, 0, 0, 0);
  unlock();
  return result;
}
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int fromfd, const char *from, int tofd, const char *to) { return renamed(fromfd, from, tofd, to, 0); }
int renameat2(int fromfd, const char *from, int tofd, const char *to, unsigned flags) {
  return renamed(fromfd, from, tofd, to, flags);
}

int linkat(int fromfd, const char *from, int tofd, const char *to, int flags) {
  char a[PATH_MAX], b[PATH_MAX];
  int in = resolve(fromfd, from, a), out = resolve(tofd, to, b);
  if (!in && !out) return syscall(SYS_linkat, fromfd, from, tofd, to, flags);
  lock();
  int result = syscall(SYS_linkat, fromfd, from, tofd, to, flags);
  if (result == 0) record(in && out ? LINK : UNKNOWN, in ? a : "link", out ? b : "link", 0, 0, 0, 0);
  unlock();
  return result;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int mkdirat(int dirfd, const char *path, mode_t mode) {
  char name[PATH_MAX];
  if (!resolve(dirfd, path, name)) return syscall(SYS_mkdirat, dirfd, path, mode);
  lock();
  int result = syscall(SYS_mkdirat, dirfd, path, mode);
  if (result == 0) record(MKDIR, name, 0, 0, 0, 0, 0);
  unlock();
  return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* What changes a file in a way that isn't recorded. A shared mapping is fine for SQLite's -shm alone: it is no part of
 * what a crash leaves. */
static void unknown(int fd, const char *call) {
  char path[PATH_MAX];
  struct stat st;
  if (what(fd, path, &st) != 'f') return;
  lock();
  record(UNKNOWN, call, path, st.st_ino, 0, 0, 0);
  unlock();
}
void *mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset) {
  if (fd >= 0 && (flags & MAP_SHARED) && (prot & PROT_WRITE)) {
    char path[PATH_MAX];
    struct stat st;
    size_t n;
    if (what(fd, path, &st) == 'f' && ((n = strlen(path)) < 4 || strcmp(path + n - 4, "-shm") != 0)) unknown(fd, "mmap");
  }
  return (void *)syscall(SYS_mmap, at, length, prot, flags, fd, offset);
}
void *mmap64(void *at, size_t length, int prot, int flags, int fd, off64_t offset) {
  return mmap(at, length, prot, flags, fd, offset);
}
int fallocate(int fd, int mode, off_t offset, off_t length) {
  unknown(fd, "fallocate");
  return syscall(SYS_fallocate, fd, mode, offset, length);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) {
  unknown(fd, "posix_fallocate");
  return syscall(SYS_fallocate, fd, 0, offset, length) == 0 ? 0 : errno;
}
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
  unknown(out, "copy_file_range");
  return syscall(SYS_copy_file_range, in, from, out, to, size, flags);
}
ssize_t sendfile(int out, int in, off_t *offset, size_t size) {
  unknown(out, "sendfile");
  return syscall(SYS_sendfile, out, in, offset, size);
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t size) { return sendfile(out, in, offset, size); }
