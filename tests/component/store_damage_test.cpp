// Files that the store cannot use: damaged ones are moved aside; others are left alone and the start fails, in one
// sentence.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/io/store.hpp"
#include "registry/io/store_files.hpp"
#include "registry/io/store_schema.hpp"
#include "tests/support/store_support.hpp"

namespace svc::registry {
namespace {

using namespace svc::test;
using Names = std::vector<std::string>;

constexpr const char* kMovedName = "registry.db.damaged-20261123T120000Z";

struct DamageCase {
  const char* name;
  const char* reason;  ///< part of what the operator is told
  void (*inflict)(const std::string& path);
};

std::ostream& operator<<(std::ostream& out, const DamageCase& damage) { return out << damage.name; }

class StoreDamage : public testing::TestWithParam<DamageCase> {};

TEST_P(StoreDamage, IsMovedAsideUntouchedAndTheStoreStartsEmpty) {
  const StoreFolder folder;
  fill_store(folder.path(), 2000);
  GetParam().inflict(folder.path());
  const std::string bytes = read_bytes(folder.path());
  {
    const OpenedStore opened = open_store(folder.path());
    ASSERT_EQ(opened.error, "");
    EXPECT_NE(opened.contents.damage.find(GetParam().reason), std::string::npos) << opened.contents.damage;
    EXPECT_EQ(opened.contents.moved_to, folder.path(kMovedName));
    EXPECT_TRUE(opened.contents.services.empty());
    EXPECT_TRUE(opened.contents.created);
    EXPECT_EQ(opened.contents.first_revision, 1U);
    EXPECT_EQ(commit_one(*opened.store, put("after")), "");
  }
  EXPECT_TRUE(read_bytes(folder.path(kMovedName)) == bytes);
  const OpenedStore again = open_store(folder.path());
  EXPECT_EQ(again.contents.damage, "");
  EXPECT_EQ(names_of(again.contents), (Names{"after"}));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, StoreDamage,
    testing::Values(
        DamageCase{"text", "file is not a database",
                   [](const std::string& path) { write_bytes(path, std::string(5000, 'x') + "\n"); }},
        DamageCase{"few_bytes", "file is not a database", [](const std::string& path) { write_bytes(path, "{}"); }},
        DamageCase{"header_overwritten", "file is not a database",
                   [](const std::string& path) { overwrite_bytes(path, 0, std::string(512, '\0')); }},
        DamageCase{
            "cut_in_half", "malformed",
            [](const std::string& path) { std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2); }},
        DamageCase{"cut_within_the_first_page", "",
                   [](const std::string& path) { std::filesystem::resize_file(path, 1000); }},
        DamageCase{"page_of_rows_overwritten", "quick_check",
                   [](const std::string& path) { overwrite_bytes(path, 4096 * 40, std::string(4096, '\xff')); }},
        DamageCase{"page_of_rows_zeroed", "quick_check",
                   [](const std::string& path) { overwrite_bytes(path, 4096 * 40, std::string(4096, '\0')); }},
        DamageCase{"schema_unreadable", "malformed",
                   [](const std::string& path) { overwrite_bytes(path, 100, std::string(100, '\xff')); }},
        DamageCase{"table_missing", "table 'services' is missing",
                   [](const std::string& path) { run_sql(path, "DROP TABLE services"); }},
        DamageCase{"column_missing", "no such column",
                   [](const std::string& path) { run_sql(path, "ALTER TABLE services RENAME COLUMN spec TO other"); }},
        DamageCase{
            "mark_missing", "the mark 'revisions_reserved_to' is missing",
            [](const std::string& path) { run_sql(path, "DELETE FROM meta WHERE key = 'revisions_reserved_to'"); }},
        DamageCase{"mark_senseless", "the mark 'revisions_reserved_to' makes no sense",
                   [](const std::string& path) {
                     run_sql(path, "UPDATE meta SET value = 'x' WHERE key = 'revisions_reserved_to'");
                   }},
        DamageCase{"application_id_wrong", "its application id is 5",
                   [](const std::string& path) { run_sql(path, "PRAGMA application_id = 5"); }}),
    [](const auto& tested) { return std::string(tested.param.name); });

/// As after kill -9: the database and a log with content beside it.
void leave_with_log(const std::string& path) {
  Child child([&](int fd) {
    const OpenedStore opened = open_store(path);
    for (int i = 0; i < 10; ++i) {
      if (!commit_one(*opened.store, put("service-" + std::to_string(i))).empty()) return;
    }
    if (::write(fd, ".", 1) != 1) return;
    ::pause();
  });
  ASSERT_EQ(child.read_some(), ".");
}

TEST(StoreDamaged, Log_MovesAlong) {
  const StoreFolder folder;
  fill_store(folder.path(), 2000);
  leave_with_log(folder.path());
  const std::string log = read_bytes(folder.path() + "-wal");
  ASSERT_FALSE(log.empty());
  overwrite_bytes(folder.path(), 4096 * 40, std::string(4096, '\xff'));  // a page that the log does not mend
  { const OpenedStore opened = open_store(folder.path()); }
  EXPECT_EQ(folder.names(), (Names{"registry.db", kMovedName, std::string(kMovedName) + "-wal"}));
  EXPECT_TRUE(read_bytes(folder.path(std::string(kMovedName) + "-wal")) == log);
}

TEST(StoreDamaged, LogWithoutItsDatabase_IsMovedAside) {
  for (const bool empty_file : {false, true}) {
    const StoreFolder folder;
    leave_with_log(folder.path());
    std::filesystem::remove(folder.path());
    if (empty_file) write_bytes(folder.path(), "");
    const OpenedStore opened = open_store(folder.path());
    EXPECT_EQ(opened.contents.damage, "it is missing or empty although its write-ahead log is not");
    EXPECT_TRUE(std::filesystem::exists(opened.contents.moved_to + "-wal"));
  }
}

TEST(StoreDamaged, DamagedLog_LosesNothingBeforeTheDamage) {
  const StoreFolder folder;
  leave_with_log(folder.path());
  const auto size = std::filesystem::file_size(folder.path() + "-wal");
  overwrite_bytes(folder.path() + "-wal", size - 100, std::string(100, '\x55'));  // a torn last write
  const OpenedStore opened = open_store(folder.path());
  EXPECT_EQ(opened.contents.damage, "");
  EXPECT_EQ(opened.contents.services.size(), 9U);
}

TEST(StoreDamaged, LogDamagedBeforeItsEnd_IsMovedAsideWithItsDatabase) {
  constexpr std::uint64_t kHeader = 32;
  constexpr std::uint64_t kFrame = 24 + 4096;
  const std::pair<std::uint64_t, std::string> cases[] = {
      {0, "the header of its write-ahead log is damaged"},   // its magic
      {16, "the header of its write-ahead log is damaged"},  // the salts that all frames repeat
      {kHeader + 2 * kFrame + 1000, "its write-ahead log is damaged before its end"},  // a page
      {kHeader + 2 * kFrame + 16, "its write-ahead log is damaged before its end"}};   // a checksum
  for (const auto& [at, damage] : cases) {
    const StoreFolder folder;
    leave_with_log(folder.path());
    overwrite_bytes(folder.path() + "-wal", at, "\x55\xaa\x55");
    const std::string log = read_bytes(folder.path() + "-wal");
    const OpenedStore opened = open_store(folder.path());
    EXPECT_EQ(opened.error, "");
    EXPECT_EQ(opened.contents.damage, damage) << at;
    EXPECT_EQ(opened.contents.moved_to, folder.path(kMovedName));
    EXPECT_TRUE(opened.contents.services.empty());
    EXPECT_TRUE(read_bytes(folder.path(std::string(kMovedName) + "-wal")) == log);
  }
}

TEST(StoreDamaged, LogCutAnywhere_IsALastWriteThatWasCutShort) {
  const StoreFolder folder;
  leave_with_log(folder.path());
  const std::string log = read_bytes(folder.path() + "-wal");
  const std::string database = read_bytes(folder.path());
  for (std::size_t size = log.size(); size > 0; size -= std::min<std::size_t>(size, 1500)) {
    write_bytes(folder.path(), database);
    write_bytes(folder.path() + "-wal", log.substr(0, size));
    EXPECT_EQ(open_store(folder.path()).contents.damage, "") << size;
  }
}

TEST(StoreDamaged, SecondTime_OverwritesNothing) {
  const StoreFolder folder;
  for (const char* content : {"first", "second"}) {
    write_bytes(folder.path(), content);
    EXPECT_EQ(open_store(folder.path()).error, "");
  }
  EXPECT_EQ(read_bytes(folder.path(kMovedName)), "first");
  EXPECT_EQ(read_bytes(folder.path(std::string(kMovedName) + "-2")), "second");
}

TEST(StoreDamaged, UnreadableRow_IsKeptApart) {
  const StoreFolder folder;
  fill_store(folder.path(), 5);
  run_sql(folder.path(), "UPDATE services SET spec = '{\"v\":99}' WHERE name = 'service-1'");
  run_sql(folder.path(), "UPDATE services SET spec = x'00ff' WHERE name = 'service-2'");
  run_sql(folder.path(), "UPDATE services SET name = 'another' WHERE name = 'service-3'");
  {
    const OpenedStore opened = open_store(folder.path());
    EXPECT_EQ(opened.contents.damage, "");
    EXPECT_EQ(opened.contents.unreadable_rows, 3U);
    EXPECT_EQ(names_of(opened.contents), (Names{"service-0", "service-4"}));
  }
  EXPECT_EQ(open_store(folder.path()).contents.unreadable_rows, 0U);
  EXPECT_EQ(
      run_sql(folder.path(), "SELECT count(*) FROM unreadable WHERE reason <> '' AND moved_at = '20261123T120000Z'"),
      "3");
  EXPECT_EQ(run_sql(folder.path(), "SELECT spec FROM unreadable WHERE name = 'service-1'"), "{\"v\":99}");
}

TEST(StoreRefusal, SecondRegistry_IsToldSo) {
  const StoreFolder folder;
  const std::string sentence =
      "the state database '" + folder.path() + "' is in use by another process; stop it or choose another --state-db";
  fill_store(folder.path(), 3);
  {
    const OpenedStore first = open_store(folder.path());
    EXPECT_EQ(open_store(folder.path()).error, sentence);
    EXPECT_EQ(in_child([&] { return open_store(folder.path()).error; }), sentence);
    EXPECT_EQ(commit_one(*first.store, put("a")), "");
    EXPECT_EQ(in_child([&] { return open_store(folder.path()).error; }), sentence);  // still
  }
  EXPECT_EQ(open_store(folder.path()).contents.services.size(), 4U);
}

TEST(StoreRefusal, AfterKillOfTheFirst_TheNextMayHaveIt) {
  const StoreFolder folder;
  Child child([&](int fd) {
    const OpenedStore opened = open_store(folder.path());
    if (::write(fd, ".", 1) == 1) ::pause();
  });
  ASSERT_EQ(child.read_some(), ".");
  EXPECT_NE(open_store(folder.path()).error, "");
  child.kill();
  EXPECT_EQ(open_store(folder.path()).error, "");
}

TEST(StoreRefusal, NewerSchema_NamesBothVersions) {
  const StoreFolder folder;
  fill_store(folder.path(), 3);
  run_sql(folder.path(), "PRAGMA user_version = 7");
  EXPECT_EQ(open_store(folder.path()).error, "the state database '" + folder.path() +
                                                 "' has schema version 7, this registry knows versions up to 1;"
                                                 " run a newer registry or choose another --state-db");
  EXPECT_EQ(folder.names(), (Names{"registry.db"}));
}

TEST(StoreRefusal, AnotherApplicationsDatabase_IsNotTouched) {
  for (const char* sql : {"CREATE TABLE photos(id)", "PRAGMA application_id = 9", "PRAGMA user_version = 4",
                          "PRAGMA journal_mode = WAL; CREATE TABLE photos(id)"}) {
    const StoreFolder folder;
    run_sql(folder.path(), sql);
    const std::string bytes = read_bytes(folder.path());
    const std::string error = open_store(folder.path()).error;
    EXPECT_NE(error.find("is a database of another application"), std::string::npos) << sql << ": " << error;
    EXPECT_TRUE(read_bytes(folder.path()) == bytes) << sql;
    EXPECT_EQ(folder.names(), (Names{"registry.db"})) << sql;
  }
}

TEST(StoreRefusal, Places_WhereNoFileCanBe) {
  const StoreFolder folder;
  std::filesystem::create_directory(folder.path("folder"));
  write_bytes(folder.path("file"), "x");
  ASSERT_EQ(::mkfifo(folder.path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(open_store(folder.path("folder")).error,
            "the state database '" + folder.path("folder") + "' is a directory");
  EXPECT_EQ(open_store(folder.path("pipe")).error,
            "the state database '" + folder.path("pipe") + "' is not a regular file");
  EXPECT_EQ(open_store("").error, "the path of the state database is empty");
  EXPECT_NE(open_store(folder.path("file/registry.db")).error.find("Not a directory"), std::string::npos);
  EXPECT_NE(open_store("/proc/registry/registry.db").error.find("cannot make the folder '/proc/registry'"),
            std::string::npos);
  EXPECT_NE(open_store("/proc/registry.db").error.find("cannot open the state database '/proc/registry.db'"),
            std::string::npos);
  EXPECT_EQ(folder.names(), (Names{"file", "folder", "pipe"}));
}

TEST(StoreRefusal, NoPermission_IsAStartErrorAndNothingMoves) {
  const StoreFolder folder;
  fill_store(folder.path(), 3);
  const auto attempt = [&] { return open_store(folder.path()).error; };
  ::chmod(folder.path().c_str(), 0000);
  EXPECT_NE(in_child(attempt, true).find("cannot open the state database"), std::string::npos);
  ::chmod(folder.path().c_str(), 0444);
  EXPECT_EQ(in_child(attempt, true), "the state database '" + folder.path() + "' may not be written by this user");
  ::chmod(folder.path().c_str(), 0666);
  ::chmod(folder.path("").c_str(), 0555);  // the log cannot be made in the folder
  EXPECT_NE(in_child(attempt, true).find("cannot open the state database"), std::string::npos);
  EXPECT_NE(in_child([&] { return open_store(folder.path("new/registry.db")).error; }, true).find("Permission denied"),
            std::string::npos);
  write_bytes(folder.path(), "garbage");  // damaged, and cannot be moved
  EXPECT_NE(in_child(attempt, true).find("cannot move the damaged state database"), std::string::npos);
  ::chmod(folder.path("").c_str(), 0755);
  EXPECT_EQ(folder.names(), (Names{"registry.db"}));
}

}  // namespace
}  // namespace svc::registry
