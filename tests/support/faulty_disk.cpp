#include "tests/support/faulty_disk.hpp"

#include <sqlite3.h>

#include <atomic>

namespace svc::test {

namespace {

struct Faults {
  std::atomic<int> sync{SQLITE_OK};
  std::atomic<int> write{SQLITE_OK};
  std::atomic<int> read{SQLITE_OK};
  std::atomic<bool> hangs{false};
  std::atomic<int> opened{0};
  std::atomic<int> failed{0};
};

Faults faults;
sqlite3_vfs* real_vfs = nullptr;
sqlite3_vfs faulty_vfs;

/// Laid out as SQLite wants it: the methods first; the real file follows in the same block.
struct File {
  sqlite3_file base;
};

sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(file) + 1); }

int injected(const std::atomic<int>& fault) {
  const int code = fault.load();
  if (code != SQLITE_OK) ++faults.failed;
  return code;
}

int close_file(sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); }

int read_file(sqlite3_file* file, void* data, int size, sqlite3_int64 offset) {
  if (const int code = injected(faults.read); code != SQLITE_OK) return code;
  return real(file)->pMethods->xRead(real(file), data, size, offset);
}

int write_file(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  if (faults.hangs) ++faults.failed;
  faults.hangs.wait(true);
  if (const int code = injected(faults.write); code != SQLITE_OK) return code;
  return real(file)->pMethods->xWrite(real(file), data, size, offset);
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) { return real(file)->pMethods->xTruncate(real(file), size); }

int sync_file(sqlite3_file* file, int flags) {
  if (const int code = injected(faults.sync); code != SQLITE_OK) return code;
  return real(file)->pMethods->xSync(real(file), flags);
}

int file_size(sqlite3_file* file, sqlite3_int64* size) { return real(file)->pMethods->xFileSize(real(file), size); }
int lock_file(sqlite3_file* file, int level) { return real(file)->pMethods->xLock(real(file), level); }
int unlock_file(sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
int check_lock(sqlite3_file* file, int* held) { return real(file)->pMethods->xCheckReservedLock(real(file), held); }
int control_file(sqlite3_file* file, int op, void* arg) {
  return real(file)->pMethods->xFileControl(real(file), op, arg);
}
int sector_size(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
int characteristics(sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }

/// Version 1: no shared memory, which a store that locks its file exclusively does not need.
const sqlite3_io_methods* methods() {
  static const sqlite3_io_methods table = [] {
    sqlite3_io_methods made{};
    made.iVersion = 1;
    made.xClose = close_file;
    made.xRead = read_file;
    made.xWrite = write_file;
    made.xTruncate = truncate_file;
    made.xSync = sync_file;
    made.xFileSize = file_size;
    made.xLock = lock_file;
    made.xUnlock = unlock_file;
    made.xCheckReservedLock = check_lock;
    made.xFileControl = control_file;
    made.xSectorSize = sector_size;
    made.xDeviceCharacteristics = characteristics;
    return made;
  }();
  return &table;
}

int open_file(sqlite3_vfs*, sqlite3_filename name, sqlite3_file* file, int flags, int* out_flags) {
  if ((flags & SQLITE_OPEN_MAIN_DB) != 0) ++faults.opened;
  file->pMethods = nullptr;
  const int code = real_vfs->xOpen(real_vfs, name, real(file), flags, out_flags);
  // When the real file has methods it must be closed, even after an error.
  if (real(file)->pMethods != nullptr) file->pMethods = methods();
  return code;
}

}  // namespace

FaultyDisk::FaultyDisk() {
  heal();
  faults.opened = 0;
  faults.failed = 0;
  real_vfs = sqlite3_vfs_find(nullptr);
  faulty_vfs = *real_vfs;
  faulty_vfs.zName = "faulty";
  faulty_vfs.szOsFile = static_cast<int>(sizeof(File)) + real_vfs->szOsFile;
  faulty_vfs.xOpen = open_file;
  sqlite3_vfs_register(&faulty_vfs, 1);
}

FaultyDisk::~FaultyDisk() {
  sqlite3_vfs_unregister(&faulty_vfs);
  sqlite3_vfs_register(real_vfs, 1);
}

void FaultyDisk::fail_syncs(int sqlite_code) { faults.sync = sqlite_code; }
void FaultyDisk::fail_writes(int sqlite_code) { faults.write = sqlite_code; }
void FaultyDisk::fail_reads(int sqlite_code) { faults.read = sqlite_code; }

void FaultyDisk::hang_writes() { faults.hangs = true; }

void FaultyDisk::heal() {
  faults.hangs = false;
  faults.hangs.notify_all();
  faults.sync = SQLITE_OK;
  faults.write = SQLITE_OK;
  faults.read = SQLITE_OK;
}

int FaultyDisk::opened() const { return faults.opened; }
int FaultyDisk::failed() const { return faults.failed; }

}  // namespace svc::test
