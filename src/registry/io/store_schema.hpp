// What is inside the state database: its tables, whose file it is, whether it is sound, and reading it.
//
//   services(seq, name, generation, spec)        one row per registered service; seq = order of first registration
//   meta(key, value)                             revisions_reserved_to
//   unreadable(name, spec, reason, moved_at)     rows that this version could not decode, kept for the operator
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "registry/core/registry_state.hpp"
#include "registry/io/store_sqlite.hpp"

namespace svc::registry {

inline constexpr std::int64_t kSchemaVersion = 1;                ///< PRAGMA user_version
inline constexpr std::int64_t kStoreApplicationId = 0x494E464C;  ///< PRAGMA application_id: "INFL"

/// The file is ours (or was) and cannot be used: to be moved aside. what() is the reason.
class DamagedStore : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The file must be left alone and the start must fail. what() is the whole sentence for the user.
class RefusedStore : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Sets what holds per connection (exclusive lock, full durability). Writes nothing to the file.
void configure_connection(sqlite3* db);

/// Switches to a write-ahead log. Throws RefusedStore where the file system cannot have one.
void use_write_ahead_log(sqlite3* db, const std::string& path);

/// True: a registry's database of a version we know. False: an empty database. Throws RefusedStore for another
/// application's or a newer registry's file, DamagedStore when it is ours but lacks what it must have.
bool is_registry_database(sqlite3* db, const std::string& path);

/// Inside a transaction.
void create_schema(sqlite3* db);

/// PRAGMA quick_check, unless the file is so large that it would hold up the start. Throws DamagedStore.
void check_integrity(sqlite3* db);

struct UnreadableRow {
  std::int64_t seq = 0;
  std::string reason;
};

/// Every revision ever handed out is below it, and so is every generation (a registration takes one of each). Throws
/// DamagedStore when the mark is missing or senseless.
Revision read_reserved_to(sqlite3* db);
void write_mark(sqlite3* db, const char* key, std::uint64_t value);
inline constexpr const char* kReservedToKey = "revisions_reserved_to";

/// In order of first registration. Rows that do not decode are listed, not returned.
std::vector<StoredService> load_services(sqlite3* db, std::vector<UnreadableRow>& unreadable);

/// Inside a transaction: moves the rows to table `unreadable`.
void set_rows_aside(sqlite3* db, const std::vector<UnreadableRow>& rows, const std::string& now_utc);

}  // namespace svc::registry
