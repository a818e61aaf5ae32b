// Inside of Store, shared by store.cpp (writing) and store_open.cpp (opening). Not for others.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "registry/io/store.hpp"
#include "registry/io/store_files.hpp"
#include "registry/io/store_schema.hpp"
#include "registry/io/store_sqlite.hpp"

namespace svc::registry {

/// A row of table `services` as it stands, to be put back exactly.
struct StoredRow {
  std::int64_t seq = 0;
  std::int64_t generation = 0;
  std::string spec;
};

struct StoreStatements {
  explicit StoreStatements(sqlite3* db);
  sqlite::Statement put, remove, find, put_back;
};

struct Store::Impl {
  Impl() = default;
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::string shown;           ///< the path as configured, for messages
  std::string path;            ///< absolute; empty for a store in memory
  std::optional<FileId> file;  ///< of the open database

  // In this order: statements must go before their connection.
  sqlite::Connection db;  ///< null after repeated I/O errors, until the next write opens it again
  std::optional<StoreStatements> statements;

  Revision reserved_to = 0;        ///< durable: every revision below may be handed out
  Revision reserve_attempted = 0;  ///< highest mark that a failed write may have left on the disk
  unsigned failures = 0;           ///< in a row

  /// Rows as they were before writes that failed with an unknown outcome: what such a write left in the log is
  /// overwritten by the next commit of the same connection, but a new connection would recover it as if it had
  /// succeeded. nullopt: there was no such row.
  std::map<std::string, std::optional<StoredRow>, std::less<>> unsettled;
  bool must_restore = false;  ///< the connection is a new one and `unsettled` has not been put back yet

  bool in_memory() const { return path.empty(); }

  /// Connects, checks, loads, reserves. Throws SqlError, DamagedStore, RefusedStore.
  static std::unique_ptr<Impl> open_once(const StoreFiles& files, const std::string& shown, const std::string& now_utc,
                                         StoreContents& contents);
  /// Connects again to the same file. Throws the same, and RefusedStore when it is another file by now.
  void reopen();
  /// Closes without touching the disk.
  void disconnect() noexcept;

  /// Runs `body` in a transaction; `touched` are the operations it carries out.
  Result<void> write(std::span<const StoreOp> touched, const std::function<void()>& body);
  void apply(const StoreOp& operation);
  std::optional<StoredRow> row_of(std::string_view name);
  void restore_unsettled();
  void require_same_file() const;
};

}  // namespace svc::registry
