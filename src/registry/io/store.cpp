#include "registry/io/store.hpp"

#include <algorithm>
#include <utility>

#include "registry/io/store_impl.hpp"

namespace svc::registry {

using sqlite::SqlError;

namespace {

/// One failure may pass by itself (SQLite has rolled back and can go on); after a second one in a row the connection's
/// descriptors are suspect (a volume that went away and came back, a stale network file) and it is opened anew.
constexpr unsigned kFailuresBeforeReopen = 2;

/// A full disk is no reason to let go of a good connection, and of its lock.
bool makes_connection_suspect(const SqlError& error) {
  return error.primary() == SQLITE_IOERR || error.primary() == SQLITE_CANTOPEN || error.primary() == SQLITE_READONLY;
}

Error write_error(const std::string& shown, const std::string& cause) {
  return Error{Errc::io_error, ErrorSource::self, true, "cannot write the state database '" + shown + "'", cause};
}

}  // namespace

StoreStatements::StoreStatements(sqlite3* db)
    : put(db,
          "INSERT INTO services(name, generation, spec) VALUES(?1, ?2, ?3)"
          " ON CONFLICT(name) DO UPDATE SET generation = excluded.generation, spec = excluded.spec"),
      remove(db, "DELETE FROM services WHERE name = ?1"),
      find(db, "SELECT seq, generation, spec FROM services WHERE name = ?1"),
      put_back(db, "INSERT OR REPLACE INTO services(name, seq, generation, spec) VALUES(?1, ?2, ?3, ?4)") {}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store() = default;

Result<void> Store::commit(std::span<const StoreOp> operations) {
  if (operations.empty()) return {};
  return impl_->write(operations, [&] {
    for (const StoreOp& operation : operations) impl_->apply(operation);
  });
}

Result<void> Store::reserve_revisions(Revision revision) {
  if (revision + kRevisionBlock / 2 < impl_->reserved_to) return {};
  const Revision target = revision + kRevisionBlock;
  impl_->reserve_attempted = std::max(impl_->reserve_attempted, target);
  auto outcome = impl_->write({}, [&] { write_mark(impl_->db.get(), kReservedToKey, target); });
  if (outcome) impl_->reserved_to = target;
  return outcome;
}

Store::Impl::~Impl() {
  if (!db || in_memory()) return;
  statements.reset();
  // What cannot be carried over now stays in the log and is found at the next start.
  sqlite3_wal_checkpoint_v2(db.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
}

Result<void> Store::Impl::write(std::span<const StoreOp> touched, const std::function<void()>& body) {
  std::map<std::string, std::optional<StoredRow>, std::less<>> before;
  try {
    if (!db) reopen();
    require_same_file();
    sqlite::Transaction transaction(db.get());
    if (must_restore) restore_unsettled();
    for (const StoreOp& operation : touched) {
      const std::string& name = operation.service.spec.name;
      if (before.find(name) == before.end()) before.emplace(name, row_of(name));
    }
    body();
    transaction.commit();
  } catch (const SqlError& error) {
    unsettled.merge(before);  // keeps what is older
    ++failures;
    if (!in_memory() && failures >= kFailuresBeforeReopen && makes_connection_suspect(error)) disconnect();
    return write_error(shown, error.what());
  } catch (const RefusedStore& refused) {
    return write_error(shown, refused.what());
  } catch (const DamagedStore& damaged) {
    return write_error(shown, damaged.what());
  }
  unsettled.clear();
  must_restore = false;
  failures = 0;
  return {};
}

void Store::Impl::apply(const StoreOp& operation) {
  const StoredService& service = operation.service;
  switch (operation.kind) {
    case StoreOp::Kind::put: {
      const std::string spec = wire::encode_spec(service.spec);
      const sqlite::ResetLater reset(statements->put);
      statements->put.bind(1, service.spec.name).bind(2, static_cast<std::int64_t>(service.generation)).bind(3, spec);
      statements->put.run();
      return;
    }
    case StoreOp::Kind::remove: {
      const sqlite::ResetLater reset(statements->remove);
      statements->remove.bind(1, service.spec.name).run();
      return;
    }
  }
}

std::optional<StoredRow> Store::Impl::row_of(std::string_view name) {
  sqlite::Statement& find = statements->find;
  const sqlite::ResetLater reset(find);
  if (!find.bind(1, name).step()) return std::nullopt;
  return StoredRow{find.integer(0), find.integer(1), std::string(find.text(2))};
}

void Store::Impl::restore_unsettled() {
  for (const auto& [name, row] : unsettled) {
    if (!row) {
      const sqlite::ResetLater reset(statements->remove);
      statements->remove.bind(1, name).run();
      continue;
    }
    const sqlite::ResetLater reset(statements->put_back);
    statements->put_back.bind(1, name).bind(2, row->seq).bind(3, row->generation).bind(4, row->spec).run();
  }
}

void Store::Impl::require_same_file() const {
  if (in_memory() || file_id(path) == file) return;
  throw RefusedStore("the file was removed or replaced while it was in use; put it back or restart the registry");
}

void Store::Impl::disconnect() noexcept {
  statements.reset();
  if (db) sqlite3_db_config(db.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  db.reset();
}

}  // namespace svc::registry
