// The state database as files: where it lies, whether it can be used at all, and moving a damaged one aside.
//
// Never opens the database file itself: closing a second descriptor of it would drop SQLite's (POSIX) locks.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/core/result.hpp"

namespace svc::registry {

/// Identity of a file, to notice that it was removed or replaced.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileId&) const = default;
};

/// nullopt when there is no such file (or it cannot be seen).
std::optional<FileId> file_id(const std::string& path);

struct StoreFiles {
  std::string path;      ///< absolute, symbolic links resolved; all of SQLite's files lie beside it
  bool empty = true;     ///< absent or of zero length
  bool has_wal = false;  ///< a write-ahead log with content lies beside it
};

/// Resolves `path` and makes missing parent folders (durably). Errors: io_error for a folder that cannot be made,
/// a directory or other special file at the path.
Result<StoreFiles> prepare_store_files(const std::string& path);

/// Renames the database and its -wal, -journal and -shm to `<path>.damaged-<suffix>`, durably; never overwrites
/// anything. Returns the new path of the database. Error: io_error.
Result<std::string> move_store_aside(const std::string& path, const std::string& suffix);

/// Makes the entries of the folder that `path` lies in durable. Error: io_error.
Result<void> sync_folder_of(const std::string& path);

}  // namespace svc::registry
