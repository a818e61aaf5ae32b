// The little of SQLite's C API that the store needs, with owners: a connection, prepared statements, transactions.
//
// Failures are thrown as SqlError inside the store and never leave it: Store turns them into an Error. One thread.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace svc::registry::sqlite {

/// `code` is SQLite's extended result code, what() its own words ("database or disk is full").
class SqlError : public std::runtime_error {
 public:
  SqlError(int code, const std::string& text) : std::runtime_error(text), code_(code) {}
  int code() const noexcept { return code_; }
  int primary() const noexcept { return code_ & 0xff; }

 private:
  int code_;
};

/// The present error of `db` (may be null), with the operating system's reason where SQLite kept one.
SqlError last_error(sqlite3* db, int code);

struct CloseConnection {
  void operator()(sqlite3* db) const noexcept;
};
using Connection = std::unique_ptr<sqlite3, CloseConnection>;

/// Opens for reading and writing; never waits for a lock. `create`: an absent file is made.
Connection connect(const std::string& path, bool create);

/// Runs statements that return nothing of interest.
void execute(sqlite3* db, const char* sql);

/// Prepared once, run often. Text that is bound or read is not copied: it must live (is valid) until reset().
class Statement {
 public:
  Statement() = default;
  Statement(sqlite3* db, std::string_view sql);

  Statement& bind(int index, std::string_view text);
  Statement& bind(int index, std::int64_t value);
  /// True when there is a row to read.
  bool step();
  /// Runs to the end and resets.
  void run();
  void reset() noexcept;

  std::int64_t integer(int column) const;
  std::string_view text(int column) const;
  int type(int column) const;  ///< SQLITE_INTEGER, SQLITE_TEXT...

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// Resets a statement when the scope ends, however it ends.
class ResetLater {
 public:
  explicit ResetLater(Statement& statement) : statement_(statement) {}
  ~ResetLater() { statement_.reset(); }
  ResetLater(const ResetLater&) = delete;
  ResetLater& operator=(const ResetLater&) = delete;

 private:
  Statement& statement_;
};

/// First column of the first row; 0 or "" when there is none.
std::int64_t query_integer(sqlite3* db, std::string_view sql);
std::string query_text(sqlite3* db, std::string_view sql);

/// Rolls back unless committed, also when SQLite has not done so itself.
class Transaction {
 public:
  explicit Transaction(sqlite3* db);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  void commit();

 private:
  sqlite3* db_;
  bool done_ = false;
};

}  // namespace svc::registry::sqlite
