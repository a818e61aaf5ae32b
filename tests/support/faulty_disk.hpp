// A disk that fails on demand, beneath SQLite: while an instance lives, databases opened by default go through it.
//
// One instance at a time; the settings may change from any thread.
#pragma once

namespace svc::test {

class FaultyDisk {
 public:
  FaultyDisk();   ///< becomes SQLite's default file system
  ~FaultyDisk();  ///< every database opened through it must be closed by then
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  /// From now on, until heal(): `sqlite_code` is what SQLite is told (SQLITE_IOERR_FSYNC, SQLITE_FULL...).
  void fail_syncs(int sqlite_code);  ///< the data was written before, as a real failed fsync may leave it
  void fail_writes(int sqlite_code);
  void fail_reads(int sqlite_code);
  void hang_writes();
  void heal();

  int opened() const;  ///< how often a main database file was opened
  int failed() const;  ///< calls that were made to fail or to wait
};

}  // namespace svc::test
