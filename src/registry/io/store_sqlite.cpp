#include "registry/io/store_sqlite.hpp"

#include <cerrno>
#include <system_error>

namespace svc::registry::sqlite {

namespace {

/// Results for which the operating system's reason says more than SQLite's.
bool comes_from_the_system(int code) {
  const int primary = code & 0xff;
  return primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR || primary == SQLITE_FULL || primary == SQLITE_READONLY;
}

[[noreturn]] void raise(sqlite3* db, int code) { throw last_error(db, code); }

}  // namespace

SqlError last_error(sqlite3* db, int code) {
  std::string text;
  // The connection's text belongs to its latest call; when that was another one the code's own words count.
  if (db != nullptr && sqlite3_extended_errcode(db) == code) {
    text = sqlite3_errmsg(db);
  } else {
    text = sqlite3_errstr(code);
  }
  const int system = db != nullptr && comes_from_the_system(code) ? sqlite3_system_errno(db) : 0;
  if (system != 0) text += " (" + std::generic_category().message(system) + ")";
  return {code, text};
}

void CloseConnection::operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }

Connection connect(const std::string& path, bool create) {
  sqlite3* raw = nullptr;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (create ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Connection db(raw);  // SQLite hands out a connection even when it could not open the file
  if (code != SQLITE_OK) raise(db.get(), code);
  sqlite3_busy_timeout(db.get(), 0);
  return db;
}

void execute(sqlite3* db, const char* sql) {
  const int code = sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) raise(db, code);
}

Statement::Statement(sqlite3* db, std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code =
      sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) raise(db, code);
  statement_.reset(raw);
}

Statement& Statement::bind(int index, std::string_view text) {
  // A null pointer would bind NULL, not an empty text. No destructor: the text outlives the run, nothing is copied.
  const char* data = text.data() == nullptr ? "" : text.data();
  const int code = sqlite3_bind_text64(statement_.get(), index, data, text.size(), nullptr, SQLITE_UTF8);
  if (code != SQLITE_OK) raise(sqlite3_db_handle(statement_.get()), code);
  return *this;
}

Statement& Statement::bind(int index, std::int64_t value) {
  const int code = sqlite3_bind_int64(statement_.get(), index, value);
  if (code != SQLITE_OK) raise(sqlite3_db_handle(statement_.get()), code);
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  const SqlError failure = last_error(sqlite3_db_handle(statement_.get()), code);
  reset();  // an unfinished statement would keep the transaction from being rolled back
  throw SqlError(failure);
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

void Statement::reset() noexcept {
  if (!statement_) return;
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string_view Statement::text(int column) const {
  const auto* data = sqlite3_column_text(statement_.get(), column);
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

int Statement::type(int column) const { return sqlite3_column_type(statement_.get(), column); }

std::int64_t query_integer(sqlite3* db, std::string_view sql) {
  Statement statement(db, sql);
  return statement.step() ? statement.integer(0) : 0;
}

std::string query_text(sqlite3* db, std::string_view sql) {
  Statement statement(db, sql);
  return statement.step() ? std::string(statement.text(0)) : std::string();
}

Transaction::Transaction(sqlite3* db) : db_(db) { execute(db_, "BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  // A failed COMMIT may have left the transaction open or rolled it back already; either way it must be closed here.
  if (!done_ && sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  execute(db_, "COMMIT");
  done_ = true;
}

}  // namespace svc::registry::sqlite
