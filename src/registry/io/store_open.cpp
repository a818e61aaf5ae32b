#include <utility>

#include "registry/io/store_impl.hpp"
#include "registry/io/store_log_check.hpp"

namespace svc::registry {

using sqlite::SqlError;

namespace {

constexpr const char* kInMemory = ":memory:";

Error start_error(std::string message, std::string cause = {}) {
  return Error{Errc::io_error, ErrorSource::self, false, std::move(message), std::move(cause)};
}

[[noreturn]] void refuse_in_use(const std::string& shown) {
  throw RefusedStore("the state database '" + shown +
                     "' is in use by another process; stop it or choose another --state-db");
}

/// Turns what SQLite says about a file into what is to be done about it; returns for errors of the system beneath.
void judge(const SqlError& error, const std::string& shown, bool known_as_ours) {
  switch (error.primary()) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: refuse_in_use(shown);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT: throw DamagedStore(error.what());
    case SQLITE_ERROR:  // no such column, no such table
      if (known_as_ours) throw DamagedStore(error.what());
      return;
    default: return;
  }
}

/// Until the file is known to be sound and ours, closing must leave it and its log as they are.
void keep_log_on_close(sqlite3* db, bool keep) {
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0, nullptr);
}

/// Loads a registry's database or makes a new one, and reserves this boot's revisions: which also proves, before the
/// daemon says that it is ready, that the store can be written.
void take_over(sqlite3* db, bool ours, const std::string& now_utc, StoreContents& contents, Revision& reserved_to) {
  std::vector<UnreadableRow> unreadable;
  if (ours) {
    check_integrity(db);
    contents.services = load_services(db, unreadable);
  }
  sqlite::Transaction transaction(db);
  if (!ours) create_schema(db);
  const Revision first = read_reserved_to(db);
  reserved_to = first + kRevisionBlock;
  write_mark(db, kReservedToKey, reserved_to);
  set_rows_aside(db, unreadable, now_utc);
  transaction.commit();

  contents.created = !ours;
  contents.first_revision = first;
  contents.unreadable_rows = unreadable.size();
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::string& path, const std::string& now_utc,
                                           StoreContents& contents) {
  contents = {};
  StoreFiles files;
  if (path == kInMemory) {
    files.path.clear();
  } else {
    auto prepared = prepare_store_files(path);
    if (!prepared) return prepared.error();
    files = std::move(*prepared);
  }
  std::string damage;
  if (files.empty && files.has_wal) damage = "it is missing or empty although its write-ahead log is not";
  std::string moved_to;
  for (;;) {
    if (!damage.empty() && moved_to.empty()) {
      auto moved = move_store_aside(files.path, now_utc);
      if (!moved) return start_error(moved.error().message, damage + "; " + moved.error().cause);
      moved_to = std::move(*moved);
      files.empty = true;
      files.has_wal = false;
    }
    try {
      StoreContents found;
      std::unique_ptr<Impl> impl = Impl::open_once(files, path, now_utc, found);
      contents = std::move(found);
      contents.damage = damage;
      contents.moved_to = moved_to;
      return std::unique_ptr<Store>(new Store(std::move(impl)));
    } catch (const DamagedStore& damaged) {
      if (!moved_to.empty()) return start_error("cannot make the state database '" + path + "'", damaged.what());
      damage = damaged.what();
    } catch (const RefusedStore& refused) {
      return start_error(refused.what());
    } catch (const SqlError& error) {
      return start_error("cannot open the state database '" + path + "'", error.what());
    }
  }
}

std::unique_ptr<Store::Impl> Store::Impl::open_once(const StoreFiles& files, const std::string& shown,
                                                    const std::string& now_utc, StoreContents& contents) {
  auto impl = std::make_unique<Impl>();
  impl->shown = shown;
  impl->path = files.path;
  bool ours = false;
  try {
    // From here on a failure must not run the destructor's checkpoint over what may be evidence.
    sqlite::Connection db = sqlite::connect(impl->in_memory() ? kInMemory : files.path, true);
    keep_log_on_close(db.get(), files.has_wal);
    if (sqlite3_db_readonly(db.get(), "main") == 1) {
      throw RefusedStore("the state database '" + shown + "' may not be written by this user");
    }
    configure_connection(db.get());
    ours = is_registry_database(db.get(), shown);
    if (!impl->in_memory()) use_write_ahead_log(db.get(), shown);
    if (files.has_wal) check_log(files.path + "-wal");
    take_over(db.get(), ours, now_utc, contents, impl->reserved_to);
    impl->statements.emplace(db.get());
    keep_log_on_close(db.get(), false);
    impl->db = std::move(db);
  } catch (const SqlError& error) {
    judge(error, shown, ours);
    throw;
  }
  if (impl->in_memory()) return impl;
  impl->file = file_id(files.path);
  if (files.empty) {
    if (auto synced = sync_folder_of(files.path); !synced) throw RefusedStore(synced.error().to_string());
  }
  return impl;
}

void Store::Impl::reopen() {
  if (!file_id(path)) throw RefusedStore("the file is gone; put it back or restart the registry");
  sqlite::Connection fresh = sqlite::connect(path, false);
  keep_log_on_close(fresh.get(), true);
  try {
    configure_connection(fresh.get());
    if (!is_registry_database(fresh.get(), shown)) throw RefusedStore("the file is empty; restart the registry");
    use_write_ahead_log(fresh.get(), shown);
    // Every opening and every reservation raises this mark: another value tells another file, or another owner.
    const Revision mark = read_reserved_to(fresh.get());
    if (mark != reserved_to && (mark < reserved_to || mark > reserve_attempted)) {
      throw RefusedStore("the file is not the one that was open before; restart the registry");
    }
    StoreStatements prepared(fresh.get());
    keep_log_on_close(fresh.get(), false);
    statements.emplace(std::move(prepared));
    reserved_to = mark;
  } catch (const SqlError& error) {
    judge(error, shown, true);
    throw;
  }
  db = std::move(fresh);
  file = file_id(path);
  must_restore = !unsettled.empty();
}

}  // namespace svc::registry
