// The store on sound disks: what was committed is there again, in order, after every kind of end.
#include "registry/io/store.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <iostream>

#include "common/core/clock.hpp"
#include "tests/support/patience.hpp"
#include "tests/support/store_support.hpp"

namespace svc::registry {
namespace {

using namespace svc::test;
using Names = std::vector<std::string>;

TEST(Store, NewFile_IsEmptyAndCountsFromOne) {
  const StoreFolder folder;
  const OpenedStore opened = open_store(folder.path());
  ASSERT_EQ(opened.error, "");
  EXPECT_TRUE(opened.contents.created);
  EXPECT_TRUE(opened.contents.services.empty());
  EXPECT_EQ(opened.contents.first_revision, 1U);
  EXPECT_EQ(opened.contents.damage, "");
  EXPECT_EQ(opened.contents.moved_to, "");
}

TEST(Store, EveryField_SurvivesReopen) {
  const StoreFolder folder;
  StoredService full = stored_service("m\xC3\xBCnchen / \"a'b\"; DROP TABLE services", 7);
  full.spec.metadata_json = R"({"type":"openai-api","text":"\u0000 \u20ac \ud83d\ude00"})";
  full.spec.weight = 0;
  full.spec.max_fails = 9;
  full.spec.max_fails_given = true;
  full.spec.fail_timeout = std::chrono::milliseconds(1500);
  full.spec.backup = true;
  full.spec.models = {"a", "b/c"};
  full.spec.heartbeat_interval = std::chrono::seconds(10);
  full.spec.remove_after = std::chrono::hours(1);
  const StoredService plain = stored_service("plain", 3);
  {
    const OpenedStore opened = open_store(folder.path());
    ASSERT_EQ(commit_one(*opened.store, put(full)), "");
    ASSERT_EQ(commit_one(*opened.store, put(plain)), "");
  }
  const OpenedStore again = open_store(folder.path());
  ASSERT_EQ(again.error, "");
  EXPECT_FALSE(again.contents.created);
  ASSERT_EQ(again.contents.services.size(), 2U);
  EXPECT_EQ(again.contents.services[0], full);
  EXPECT_EQ(again.contents.services[1], plain);
}

TEST(Store, Replacement_KeepsItsPlace) {
  const StoreFolder folder;
  {
    const OpenedStore opened = open_store(folder.path());
    for (const char* name : {"a", "b", "c"}) ASSERT_EQ(commit_one(*opened.store, put(name)), "");
    ASSERT_EQ(commit_one(*opened.store, put("a", 2)), "");
    ASSERT_EQ(commit_one(*opened.store, put("b", 3)), "");
  }
  const OpenedStore again = open_store(folder.path());
  EXPECT_EQ(names_of(again.contents), (Names{"a", "b", "c"}));
  EXPECT_EQ(again.contents.services[0].generation, 2U);
}

TEST(Store, RemovedAndRegisteredAgain_IsLast) {
  const StoreFolder folder;
  {
    const OpenedStore opened = open_store(folder.path());
    for (const char* name : {"a", "b", "c"}) ASSERT_EQ(commit_one(*opened.store, put(name)), "");
    ASSERT_EQ(commit_one(*opened.store, removal("a")), "");
    ASSERT_EQ(commit_one(*opened.store, removal("c")), "");
    ASSERT_EQ(commit_one(*opened.store, removal("never there")), "");
    ASSERT_EQ(commit_one(*opened.store, put("a", 2)), "");
  }
  EXPECT_EQ(names_of(open_store(folder.path()).contents), (Names{"b", "a"}));
}

TEST(Store, Commit_CarriesOutItsOperationsInOrder) {
  const StoreFolder folder;
  {
    const OpenedStore opened = open_store(folder.path());
    const std::vector<StoreOp> operations{put("a"), removal("a"), put("b"), put("a", 5), removal("b")};
    ASSERT_TRUE(opened.store->commit(operations));
    ASSERT_TRUE(opened.store->commit({}));
  }
  const OpenedStore again = open_store(folder.path());
  EXPECT_EQ(names_of(again.contents), (Names{"a"}));
  EXPECT_EQ(again.contents.services[0].generation, 5U);
}

TEST(Store, FileOfAnEarlierVersion_ItsMarkOfGenerationsIsIgnored) {
  const StoreFolder folder;
  ASSERT_EQ(commit_one(*open_store(folder.path()).store, put("a", 41)), "");
  run_sql(folder.path(), "INSERT INTO meta VALUES('generation_high', 41)");
  const OpenedStore opened = open_store(folder.path());
  ASSERT_EQ(opened.error, "");
  EXPECT_EQ(opened.contents.damage, "");
  EXPECT_EQ(names_of(opened.contents), (Names{"a"}));
}

TEST(Store, Revisions_NeverRepeatOverBoots) {
  const StoreFolder folder;
  Revision handed_out = 0;
  {
    const OpenedStore opened = open_store(folder.path());
    handed_out = opened.contents.first_revision;
  }
  {
    const OpenedStore opened = open_store(folder.path());
    EXPECT_GT(opened.contents.first_revision, handed_out);
    handed_out = opened.contents.first_revision + kRevisionBlock * 3;
    ASSERT_TRUE(opened.store->reserve_revisions(handed_out));
    handed_out += kRevisionBlock / 2 - 1;  // so much must be covered by the call
  }
  EXPECT_GT(open_store(folder.path()).contents.first_revision, handed_out);
}

TEST(Store, ReserveRevisions_FarFromTheEnd_WritesNothing) {
  const StoreFolder folder;
  const OpenedStore opened = open_store(folder.path());
  const auto before = std::filesystem::file_size(folder.path() + "-wal");
  for (Revision revision = 1; revision < 1000; ++revision) ASSERT_TRUE(opened.store->reserve_revisions(revision));
  EXPECT_EQ(std::filesystem::file_size(folder.path() + "-wal"), before);
}

TEST(Store, InMemory_WorksAndKeepsNothing) {
  for (int boot = 0; boot < 2; ++boot) {
    const OpenedStore opened = open_store(":memory:");
    ASSERT_EQ(opened.error, "");
    EXPECT_TRUE(opened.contents.created);
    EXPECT_TRUE(opened.contents.services.empty());
    EXPECT_EQ(commit_one(*opened.store, put("a")), "");
    EXPECT_TRUE(opened.store->reserve_revisions(kRevisionBlock * 2));
  }
  EXPECT_FALSE(std::filesystem::exists(":memory:"));
}

TEST(Store, MissingFolders_AreMade) {
  const StoreFolder folder;
  EXPECT_EQ(open_store(folder.path("a/b/c/registry.db")).error, "");
  EXPECT_TRUE(std::filesystem::exists(folder.path("a/b/c/registry.db")));
}

TEST(Store, EmptyFile_IsAFreshOne) {
  const StoreFolder folder;
  write_bytes(folder.path(), "");
  const OpenedStore opened = open_store(folder.path());
  EXPECT_EQ(opened.error, "");
  EXPECT_TRUE(opened.contents.created);
  EXPECT_EQ(opened.contents.damage, "");
}

TEST(Store, Link_IsFollowed) {
  const StoreFolder folder;
  fill_store(folder.path("real.db"), 3);
  std::filesystem::create_symlink(folder.path("real.db"), folder.path());
  EXPECT_EQ(open_store(folder.path()).contents.services.size(), 3U);
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path()));
}

TEST(Store, Closed_LeavesOnlyTheDatabase) {
  const StoreFolder folder;
  fill_store(folder.path(), 100);
  EXPECT_EQ(folder.names(), (Names{"registry.db"}));
}

TEST(Store, TenThousandServices_LoadTiming) {
  const StoreFolder folder;
  const int count = test::under_sanitizer() ? 1'000 : 10'000;
  fill_store(folder.path(), count, 1000);
  const TimePoint start = steady_now();
  const OpenedStore opened = open_store(folder.path());
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_now() - start);
  EXPECT_EQ(opened.contents.services.size(), static_cast<std::size_t>(count));
  std::cout << count << " services, " << std::filesystem::file_size(folder.path()) / 1024 << " KiB: open and load "
            << took.count() << " ms\n";
}

// R1: an acknowledged registration survives kill -9.
TEST(Store, KilledDuringCommits_KeepsEveryAcknowledgedWrite) {
  const StoreFolder folder;
  std::size_t acknowledged = 0;
  for (int round = 0; round < 10; ++round) {
    const std::string prefix = "round-" + std::to_string(round) + "-";
    Child child([&](int fd) {
      const OpenedStore opened = open_store(folder.path());
      if (!opened.store) return;
      for (int i = 0;; ++i) {
        if (!commit_one(*opened.store, put(prefix + std::to_string(i))).empty()) return;
        if (::write(fd, ".", 1) != 1) return;
      }
    });
    const std::size_t wanted = 20 + static_cast<std::size_t>(round) * 17;  // one time or other a checkpoint is hit
    std::size_t seen = 0;
    while (seen < wanted) {
      const std::size_t got = child.read_some().size();
      ASSERT_GT(got, 0U) << "the child could not go on";
      seen += got;
    }
    seen += child.kill().size();
    acknowledged += seen;

    const OpenedStore opened = open_store(folder.path());
    ASSERT_EQ(opened.error, "");
    ASSERT_EQ(opened.contents.damage, "");
    std::size_t found = 0;
    for (const std::string& name : names_of(opened.contents)) {
      if (name != prefix + std::to_string(found)) continue;
      ++found;
    }
    // The last write may have been stored and not acknowledged any more; never the other way round.
    EXPECT_GE(found, seen);
    EXPECT_LE(found, seen + 1);
  }
  EXPECT_GE(acknowledged, 900U);
}

}  // namespace
}  // namespace svc::registry
