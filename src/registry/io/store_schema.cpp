#include "registry/io/store_schema.hpp"

#include <limits>

namespace svc::registry {

using sqlite::execute;
using sqlite::query_integer;
using sqlite::query_text;
using sqlite::Statement;

namespace {

/// quick_check reads every page: about 2 ms per MiB from memory. Loading reads all rows anyway, so that damage in a
/// larger file shows as well.
constexpr std::int64_t kMaxCheckedBytes = 128LL * 1024 * 1024;

constexpr const char* kCreate = R"(
  CREATE TABLE services(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT UNIQUE NOT NULL,
    generation INTEGER NOT NULL,
    spec TEXT NOT NULL);
  CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE unreadable(name, spec, reason TEXT, moved_at TEXT);
  INSERT INTO meta VALUES('revisions_reserved_to', 1);
)";

constexpr const char* kOurTables[] = {"services", "meta", "unreadable"};

/// The first of our tables that is missing, or "".
std::string missing_table(sqlite3* db) {
  Statement find(db, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
  for (const char* table : kOurTables) {
    if (!find.bind(1, table).step()) return table;
    find.reset();
  }
  return {};
}

std::uint64_t read_mark(sqlite3* db, const char* key) {
  Statement read(db, "SELECT value FROM meta WHERE key = ?");
  if (!read.bind(1, key).step()) throw DamagedStore(std::string("the mark '") + key + "' is missing");
  const std::int64_t value = read.integer(0);
  if (read.type(0) != SQLITE_INTEGER || value < 0 || value > std::numeric_limits<std::int64_t>::max() / 2) {
    throw DamagedStore(std::string("the mark '") + key + "' makes no sense");
  }
  return static_cast<std::uint64_t>(value);
}

}  // namespace

void configure_connection(sqlite3* db) {
  // Exclusive mode also keeps the log's index in memory: there is no -shm file.
  execute(db,
          "PRAGMA locking_mode = EXCLUSIVE;"
          "PRAGMA synchronous = FULL;"
          "PRAGMA trusted_schema = OFF;"
          "PRAGMA cell_size_check = ON;"
          "PRAGMA temp_store = MEMORY;"
          "PRAGMA journal_size_limit = 16777216;");
}

void use_write_ahead_log(sqlite3* db, const std::string& path) {
  const std::string mode = query_text(db, "PRAGMA journal_mode = WAL");
  if (mode != "wal") {
    throw RefusedStore("the state database '" + path + "' cannot have a write-ahead log where it lies (journal mode '" +
                       mode + "'); choose another --state-db");
  }
}

bool is_registry_database(sqlite3* db, const std::string& path) {
  const std::int64_t application = query_integer(db, "PRAGMA application_id");
  const std::int64_t version = query_integer(db, "PRAGMA user_version");
  if (application == kStoreApplicationId) {
    if (version > kSchemaVersion) {
      throw RefusedStore("the state database '" + path + "' has schema version " + std::to_string(version) +
                         ", this registry knows versions up to " + std::to_string(kSchemaVersion) +
                         "; run a newer registry or choose another --state-db");
    }
    if (version < 1) throw DamagedStore("its schema version is " + std::to_string(version));
    if (const std::string table = missing_table(db); !table.empty()) {
      throw DamagedStore("table '" + table + "' is missing");
    }
    return true;
  }
  if (application == 0 && version == 0 && query_integer(db, "SELECT count(*) FROM sqlite_schema") == 0) return false;
  if (missing_table(db).empty()) {
    throw DamagedStore("its application id is " + std::to_string(application) + ", not that of a registry");
  }
  throw RefusedStore("the file '" + path + "' is a database of another application (application id " +
                     std::to_string(application) + "); choose another --state-db");
}

void create_schema(sqlite3* db) {
  execute(db, kCreate);
  execute(db, ("PRAGMA application_id = " + std::to_string(kStoreApplicationId)).c_str());
  execute(db, ("PRAGMA user_version = " + std::to_string(kSchemaVersion)).c_str());
}

void check_integrity(sqlite3* db) {
  if (query_integer(db, "PRAGMA page_count") * query_integer(db, "PRAGMA page_size") > kMaxCheckedBytes) return;
  if (const std::string found = query_text(db, "PRAGMA quick_check(1)"); found != "ok") {
    throw DamagedStore("quick_check: " + found);
  }
}

Revision read_reserved_to(sqlite3* db) {
  const Revision reserved_to = read_mark(db, kReservedToKey);
  if (reserved_to == 0) throw DamagedStore(std::string("the mark '") + kReservedToKey + "' makes no sense");
  return reserved_to;
}

void write_mark(sqlite3* db, const char* key, std::uint64_t value) {
  Statement write(db, "INSERT INTO meta VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value");
  write.bind(1, key).bind(2, static_cast<std::int64_t>(value)).run();
}

std::vector<StoredService> load_services(sqlite3* db, std::vector<UnreadableRow>& unreadable) {
  std::vector<StoredService> services;
  Statement rows(db, "SELECT seq, name, generation, spec FROM services ORDER BY seq");
  while (rows.step()) {
    auto spec = wire::decode_spec(rows.text(3));
    if (rows.integer(2) < 0) {
      unreadable.push_back({rows.integer(0), "its generation is negative"});
    } else if (!spec) {
      unreadable.push_back({rows.integer(0), spec.error().to_string()});
    } else if (spec->name != rows.text(1)) {
      unreadable.push_back({rows.integer(0), "the spec names another service: '" + spec->name + "'"});
    } else {
      services.push_back({std::move(*spec), static_cast<std::uint64_t>(rows.integer(2))});
    }
  }
  return services;
}

void set_rows_aside(sqlite3* db, const std::vector<UnreadableRow>& rows, const std::string& now_utc) {
  if (rows.empty()) return;
  Statement keep(db, "INSERT INTO unreadable SELECT name, spec, ?2, ?3 FROM services WHERE seq = ?1");
  Statement remove(db, "DELETE FROM services WHERE seq = ?1");
  for (const UnreadableRow& row : rows) {
    keep.bind(1, row.seq).bind(2, row.reason).bind(3, now_utc).run();
    remove.bind(1, row.seq).run();
  }
}

}  // namespace svc::registry
