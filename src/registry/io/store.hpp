// The registry's embedded store: SQLite in WAL mode, one row per registered service.
//
// Synchronous; all calls come from one thread at a time (StoreThread's after the start). A commit that returned success
// is on the disk (synchronous=FULL). A commit that failed changed nothing, and later commits work again once the disk
// does; only when the process dies right after an I/O error, before any other commit, may the failed one turn up at the
// next start, as with any answer that was lost. The file is locked exclusively for as long as the store is open, so
// that two registries can never share one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/core/result.hpp"
#include "registry/core/registry_state.hpp"

namespace svc::registry {

struct StoreOp {
  enum class Kind { put, remove };
  Kind kind = Kind::put;
  StoredService service;  ///< for remove only the name counts
};

/// What was found when the store was opened.
struct StoreContents {
  std::vector<StoredService> services;  ///< in order of first registration
  Revision first_revision = 0;          ///< above everything an earlier boot handed out (reserved in blocks); new: 1
  bool created = false;                 ///< there was no file before, it was damaged, or it is in memory
  std::string damage;                   ///< why an old file was moved aside, "" when it was sound
  std::string moved_to;                 ///< where it was moved
  std::size_t unreadable_rows = 0;      ///< rows that could not be decoded; kept in table `unreadable`
};

/// How many revisions are reserved at once: one write lets this many be handed out.
inline constexpr Revision kRevisionBlock = 1'000'000;

class Store {
 public:
  /// `path` ":memory:" keeps nothing. Creates missing parent folders. A damaged file (not a database, failed
  /// quick_check, unreadable pages, missing tables, empty beside a log with content) is moved to
  /// `<path>.damaged-<now_utc>` together with its -wal, and the store starts empty.
  /// Errors (start must fail, nothing is moved): the file is in use by another process, belongs to another application,
  /// has a newer schema, no permission, folder cannot be made, disk full. The message is one sentence for the user.
  static Result<std::unique_ptr<Store>> open(const std::string& path, const std::string& now_utc,
                                             StoreContents& contents);
  /// Checkpoints and closes: what remains is the database file alone.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// All or nothing, in the given order. Errors: io_error, retryable, with SQLite's own words as the cause ("database
  /// or disk is full", "disk I/O error"); also when the file was removed or replaced under the running registry,
  /// because what would be written then could not be found again.
  Result<void> commit(std::span<const StoreOp> operations);

  /// Makes sure that at least half a block of revisions above `revision` is reserved; costs nothing when it is, else
  /// one small commit. Call it about every second. After an error the present reservation still holds.
  Result<void> reserve_revisions(Revision revision);

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace svc::registry
