// A store on a failing disk: never acknowledges what it did not store (R16), and works again when the disk does.
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include <csignal>

#include "registry/io/store.hpp"
#include "registry/io/store_log_check.hpp"
#include "tests/support/faulty_disk.hpp"
#include "tests/support/patience.hpp"
#include "tests/support/store_support.hpp"

namespace svc::registry {
namespace {

using namespace svc::test;
using Names = std::vector<std::string>;

/// Files of this process may not grow beyond `bytes`, while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(StoreFailure, NoRoomLeft_FailsAndWorksAgainWhenThereIs) {
  const StoreFolder folder;
  Names stored;
  {
    const OpenedStore opened = open_store(folder.path());
    std::string error;
    {
      const FileSizeLimit limit(256 * 1024);
      for (int i = 0; error.empty() && i < 1000; ++i) {
        const std::string name = "service-" + std::to_string(i);
        error = commit_one(*opened.store, put(name));
        if (error.empty()) stored.push_back(name);
      }
      for (int i = 0; i < 5; ++i) EXPECT_NE(commit_one(*opened.store, put("refused")), "");
    }
    EXPECT_EQ(error.rfind("cannot write the state database '" + folder.path() + "': disk I/O error", 0), 0U) << error;
    EXPECT_GT(stored.size(), 5U);
    EXPECT_EQ(commit_one(*opened.store, put("after")), "");
    stored.push_back("after");
  }
  EXPECT_EQ(names_of(open_store(folder.path()).contents), stored);
}

TEST(StoreFailure, FullDisk_SaysSoAndKeepsTheConnection) {
  const StoreFolder folder;
  FaultyDisk disk;
  {
    const OpenedStore opened = open_store(folder.path());
    ASSERT_EQ(commit_one(*opened.store, put("a")), "");
    disk.fail_writes(SQLITE_FULL);
    for (int i = 0; i < 5; ++i) {
      const StoreOp operation = put("refused");
      const auto outcome = opened.store->commit({&operation, 1});
      ASSERT_FALSE(outcome);
      EXPECT_EQ(outcome.error().code, Errc::io_error);
      EXPECT_TRUE(outcome.error().retryable);
      EXPECT_EQ(outcome.error().cause, "database or disk is full");
      EXPECT_FALSE(opened.store->reserve_revisions(kRevisionBlock * 5));
    }
    disk.heal();
    EXPECT_EQ(commit_one(*opened.store, put("b")), "");
    EXPECT_TRUE(opened.store->reserve_revisions(kRevisionBlock * 5));
  }
  EXPECT_EQ(disk.opened(), 1);
  EXPECT_EQ(names_of(open_store(folder.path()).contents), (Names{"a", "b"}));
}

struct SyncCase {
  int failures;     ///< commits that fail before the disk is well again
  int connections;  ///< made in all
};

class StoreSyncFailure : public testing::TestWithParam<SyncCase> {};

// A failed fsync leaves the whole commit in the log's file: a new connection would take it for a successful one.
TEST_P(StoreSyncFailure, ChangesNothing_EvenWhenTheFileIsOpenedAnew) {
  const StoreFolder folder;
  FaultyDisk disk;
  {
    const OpenedStore opened = open_store(folder.path());
    for (const char* name : {"a", "b", "c"}) ASSERT_EQ(commit_one(*opened.store, put(name)), "");
    disk.fail_syncs(SQLITE_IOERR_FSYNC);
    for (int i = 0; i < GetParam().failures; ++i) {
      const std::vector<StoreOp> operations{removal("a"), put("b", 77), put("new"), removal("c"), put("c", 78)};
      const auto outcome = opened.store->commit(operations);
      ASSERT_FALSE(outcome);
      EXPECT_EQ(outcome.error().cause.rfind("disk I/O error", 0), 0U) << outcome.error().cause;
    }
    disk.heal();
    ASSERT_EQ(commit_one(*opened.store, put("last")), "");
    EXPECT_EQ(disk.opened(), GetParam().connections);
  }
  const OpenedStore again = open_store(folder.path());
  EXPECT_EQ(names_of(again.contents), (Names{"a", "b", "c", "last"}));
  EXPECT_EQ(again.contents.services[1].generation, 1U);
  EXPECT_EQ(again.contents.services[2].generation, 1U);
}

INSTANTIATE_TEST_SUITE_P(Failures, StoreSyncFailure, testing::Values(SyncCase{1, 1}, SyncCase{2, 2}, SyncCase{6, 6}));

TEST(StoreFailure, ReservationThatFailed_DoesNotKeepTheStoreFromReopening) {
  const StoreFolder folder;
  FaultyDisk disk;
  Revision reserved = 0;
  {
    const OpenedStore opened = open_store(folder.path());
    ASSERT_EQ(commit_one(*opened.store, put("a")), "");
    disk.fail_syncs(SQLITE_IOERR_FSYNC);
    EXPECT_FALSE(opened.store->reserve_revisions(kRevisionBlock * 2));
    EXPECT_FALSE(opened.store->reserve_revisions(kRevisionBlock * 3));
    disk.heal();
    EXPECT_EQ(commit_one(*opened.store, put("b")), "");
    reserved = kRevisionBlock * 3;
    EXPECT_TRUE(opened.store->reserve_revisions(reserved));
  }
  const OpenedStore again = open_store(folder.path());
  EXPECT_GT(again.contents.first_revision, reserved);
  EXPECT_EQ(names_of(again.contents), (Names{"a", "b"}));
}

TEST(StoreFailure, ReadsFailToo_RecoversWhenTheyWork) {
  const StoreFolder folder;
  fill_store(folder.path(), 3000, 1000);
  FaultyDisk disk;
  const OpenedStore opened = open_store(folder.path());
  disk.fail_reads(SQLITE_IOERR_READ);
  disk.fail_writes(SQLITE_IOERR_WRITE);
  disk.fail_syncs(SQLITE_IOERR_FSYNC);
  for (int i = 0; i < 4; ++i) EXPECT_NE(commit_one(*opened.store, put("service-" + std::to_string(i * 700), 9)), "");
  disk.heal();
  EXPECT_EQ(commit_one(*opened.store, put("after")), "");
}

// The log is emptied into the database every 1000 pages; when that fails, commits are still safe in the log.
TEST(StoreFailure, Checkpoint_LosesNothingWhenItFails) {
  const StoreFolder folder;
  Names stored;
  {
    FaultyDisk disk;
    const OpenedStore opened = open_store(folder.path());
    for (int i = 0; i < 600; ++i) {
      const std::string name = "service-" + std::to_string(i);
      if (i % 7 == 3) disk.fail_syncs(SQLITE_IOERR_FSYNC);
      if (commit_one(*opened.store, put(name)).empty()) stored.push_back(name);
      disk.heal();
    }
    EXPECT_GT(disk.failed(), 50);
    disk.fail_syncs(SQLITE_IOERR_FSYNC);  // and the last one, at the close
  }
  const OpenedStore again = open_store(folder.path());
  EXPECT_EQ(again.contents.damage, "");
  EXPECT_EQ(names_of(again.contents), stored);
}

// What failed commits leave in the log is overwritten in part by later ones, of other sizes: no damage.
TEST(StoreFailure, RemainsOfFailedCommitsInTheLog_AreNotTakenForDamage) {
  const StoreFolder folder;
  FaultyDisk disk;
  const OpenedStore opened = open_store(folder.path());
  ASSERT_EQ(commit_one(*opened.store, put("first")), "");
  const int commits = test::under_sanitizer() ? 40 : 200;  // the whole log is read after each

  unsigned sizes = 1;  // a fixed sequence that looks random
  for (int i = 0; i < commits; ++i) {
    sizes = sizes * 1103515245U + 12345U;
    std::vector<StoreOp> operations;
    for (unsigned n = 0; n <= (sizes >> 16U) % 64U; ++n) {
      auto service = stored_service("service-" + std::to_string((static_cast<unsigned>(i) + n * 7U) % 300U));
      service.spec.metadata_json = R"({"filling":")" + std::string(1000, 'x') + R"("})";
      operations.push_back(put(std::move(service)));
    }
    if (i % 3 != 0) disk.fail_syncs(SQLITE_IOERR_FSYNC);
    EXPECT_EQ(opened.store->commit(operations).has_value(), i % 3 == 0);
    disk.heal();
    ASSERT_EQ(damage_of_log(read_bytes(folder.path() + "-wal")), "") << i;
  }
}

TEST(StoreFailure, FileRemovedOrReplaced_IsNotWrittenAnyMore) {
  const StoreFolder folder;
  const OpenedStore opened = open_store(folder.path());
  ASSERT_EQ(commit_one(*opened.store, put("a")), "");
  std::filesystem::rename(folder.path(), folder.path("moved"));
  const std::string error = commit_one(*opened.store, put("b"));
  EXPECT_NE(error.find("was removed or replaced while it was in use"), std::string::npos) << error;
  write_bytes(folder.path(), "");
  EXPECT_EQ(commit_one(*opened.store, put("b")), error);
  std::filesystem::rename(folder.path("moved"), folder.path());
  EXPECT_EQ(commit_one(*opened.store, put("b")), "");
}

TEST(StoreFailure, AnotherFileAfterReopening_IsRefused) {
  const StoreFolder folder;
  FaultyDisk disk;
  const OpenedStore opened = open_store(folder.path());
  ASSERT_EQ(commit_one(*opened.store, put("a")), "");
  disk.fail_syncs(SQLITE_IOERR_FSYNC);
  for (int i = 0; i < 2; ++i) EXPECT_NE(commit_one(*opened.store, put("b")), "");  // lets go of the file
  disk.heal();
  { EXPECT_EQ(open_store(folder.path()).error, ""); }  // another registry had it meanwhile
  const std::string error = commit_one(*opened.store, put("b"));
  EXPECT_NE(error.find("not the one that was open before"), std::string::npos) << error;
}

TEST(StoreFailure, AtTheStart_IsAnErrorAndMovesNothing) {
  const StoreFolder folder;
  fill_store(folder.path(), 50);
  {
    FaultyDisk disk;
    disk.fail_writes(SQLITE_FULL);
    EXPECT_EQ(open_store(folder.path()).error,
              "cannot open the state database '" + folder.path() + "': database or disk is full");
    EXPECT_NE(open_store(folder.path("new.db")).error, "");
    disk.heal();
    disk.fail_reads(SQLITE_IOERR_READ);
    EXPECT_NE(open_store(folder.path()).error.find("disk I/O error"), std::string::npos);
  }
  EXPECT_EQ(open_store(folder.path()).contents.services.size(), 50U);
  for (const std::string& name : folder.names()) EXPECT_EQ(name.find("damaged"), std::string::npos) << name;
}

}  // namespace
}  // namespace svc::registry
