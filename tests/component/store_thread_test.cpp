// The store's thread: order, one answer each, nothing lost at the stop.
#include "registry/io/store_thread.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <future>

#include "tests/support/faulty_disk.hpp"
#include "tests/support/store_support.hpp"

namespace svc::registry {
namespace {

using namespace svc::test;

std::vector<StoreOp> one(StoreOp operation) {
  std::vector<StoreOp> operations;
  operations.push_back(std::move(operation));
  return operations;
}

TEST(StoreThread, Submissions_AreAnsweredInOrderOnItsOwnThread) {
  const StoreFolder folder;
  std::vector<int> answered;
  std::size_t wrong_thread = 0;
  Duration waited{};
  {
    StoreThread thread(open_store(folder.path()).store);
    for (int i = 0; i < 500; ++i) {
      thread.submit(one(put("service-" + std::to_string(i))),
                    [&, i, caller = std::this_thread::get_id()](const Result<void>& outcome, Duration took) {
                      if (outcome) answered.push_back(i);
                      if (std::this_thread::get_id() == caller) ++wrong_thread;
                      waited += took;
                    });
    }
    thread.stop();
    EXPECT_EQ(thread.pending(), 0U);
  }
  ASSERT_EQ(answered.size(), 500U);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(answered[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(wrong_thread, 0U);
  EXPECT_GT(waited, Duration::zero());
  const OpenedStore again = open_store(folder.path());
  ASSERT_EQ(again.contents.services.size(), 500U);
  EXPECT_EQ(again.contents.services[499].spec.name, "service-499");
}

TEST(StoreThread, Answered_MeansStored) {
  const StoreFolder folder;
  Child child([&](int fd) {
    StoreThread thread(open_store(folder.path()).store);
    std::promise<void> never;
    thread.submit(one(put("a")), [fd](const Result<void>& outcome, Duration) {
      if (outcome && ::write(fd, ".", 1) != 1) return;
    });
    never.get_future().wait();
  });
  ASSERT_EQ(child.read_some(), ".");
  child.kill();
  EXPECT_EQ(names_of(open_store(folder.path()).contents), (std::vector<std::string>{"a"}));
}

TEST(StoreThread, SameName_LastSubmissionWins) {
  const StoreFolder folder;
  {
    StoreThread thread(open_store(folder.path()).store);
    for (std::uint64_t i = 1; i <= 100; ++i) thread.submit(one(put("a", i)), {});
    thread.submit(one(put("b")), {});
    thread.submit(one(removal("b")), {});
  }
  const OpenedStore again = open_store(folder.path());
  ASSERT_EQ(again.contents.services.size(), 1U);
  EXPECT_EQ(again.contents.services[0].generation, 100U);
}

TEST(StoreThread, EmptySubmission_IsAnsweredAfterThoseBeforeIt) {
  StoreThread thread(open_store(":memory:").store);
  std::atomic<int> before{0};
  for (int i = 0; i < 50; ++i) thread.submit(one(put("a")), [&](const Result<void>&, Duration) { ++before; });
  std::promise<int> seen;
  thread.submit({}, [&](const Result<void>& outcome, Duration) { seen.set_value(outcome ? before.load() : -1); });
  EXPECT_EQ(seen.get_future().get(), 50);
}

TEST(StoreThread, FailingDisk_EachSubmissionGetsTheErrorThenItWorksAgain) {
  const StoreFolder folder;
  FaultyDisk disk;
  {
    StoreThread thread(open_store(folder.path()).store);
    std::atomic<int> failed{0};
    const auto wait = [&thread] {
      std::promise<void> reached;
      thread.submit({}, [&](const Result<void>&, Duration) { reached.set_value(); });
      reached.get_future().wait();
    };
    disk.fail_writes(SQLITE_FULL);
    for (int i = 0; i < 50; ++i) {
      thread.submit(one(put("refused")), [&](const Result<void>& outcome, Duration) {
        if (!outcome && outcome.error().retryable && outcome.error().code == Errc::io_error) ++failed;
      });
    }
    wait();
    EXPECT_EQ(failed, 50);
    disk.heal();
    thread.submit(one(put("a")), [&](const Result<void>& outcome, Duration) { EXPECT_TRUE(outcome); });
  }
  EXPECT_EQ(names_of(open_store(folder.path()).contents), (std::vector<std::string>{"a"}));
}

TEST(StoreThread, ReserveRevisions_IsDurable) {
  const StoreFolder folder;
  std::atomic<int> reserved{0};
  {
    StoreThread thread(open_store(folder.path()).store);
    thread.submit(one(put("a")), {});
    thread.reserve_revisions(kRevisionBlock * 9,
                             [&](const Result<void>& outcome, Duration) { reserved += outcome ? 1 : 0; });
    thread.submit(one(put("b")), {});
    thread.reserve_revisions(5);
  }
  EXPECT_EQ(reserved, 1);
  const OpenedStore again = open_store(folder.path());
  EXPECT_GT(again.contents.first_revision, kRevisionBlock * 9);
  EXPECT_EQ(again.contents.services.size(), 2U);
}

TEST(StoreThread, Stopped_RefusesAndHasLetGoOfTheFile) {
  const StoreFolder folder;
  StoreThread thread(open_store(folder.path()).store);
  EXPECT_NE(open_store(folder.path()).error, "");
  thread.stop();
  thread.stop();
  EXPECT_EQ(open_store(folder.path()).error, "");
  Errc code = Errc::internal;
  thread.submit(one(put("a")), [&](const Result<void>& outcome, Duration) { code = outcome.error().code; });
  EXPECT_EQ(code, Errc::cancelled);
  thread.reserve_revisions(1);
}

TEST(StoreThread, ManySubmitters_EachWriteIsStored) {
  const StoreFolder folder;
  std::atomic<int> stored{0};
  {
    StoreThread thread(open_store(folder.path()).store);
    std::vector<std::thread> submitters;
    for (int s = 0; s < 4; ++s) {
      submitters.emplace_back([&, s] {
        for (int i = 0; i < 200; ++i) {
          thread.submit(one(put(std::to_string(s) + "-" + std::to_string(i))),
                        [&](const Result<void>& outcome, Duration) { stored += outcome ? 1 : 0; });
        }
      });
    }
    for (std::thread& submitter : submitters) submitter.join();
  }
  EXPECT_EQ(stored, 800);
  EXPECT_EQ(open_store(folder.path()).contents.services.size(), 800U);
}

TEST(StoreThread, ReservationsWhileTheDiskHangs_AreOneAndCountNowhere) {
  FaultyDisk disk;
  const StoreFolder folder;
  std::atomic<int> answered{0};
  {
    StoreThread thread(open_store(folder.path()).store);
    disk.hang_writes();
    thread.submit(one(put("a")), {});
    while (disk.failed() == 0) std::this_thread::yield();
    int taken = 0;
    for (int i = 0; i < 50; ++i) {
      const bool one_more =
          thread.reserve_revisions(kRevisionBlock * 9, [&](const Result<void>&, Duration) { ++answered; });
      taken += one_more ? 1 : 0;
    }
    EXPECT_EQ(taken, 1);
    EXPECT_EQ(thread.pending(), 1U) << "the change alone";
    disk.heal();
    std::promise<void> reached;
    thread.submit({}, [&](const Result<void>&, Duration) { reached.set_value(); });
    reached.get_future().wait();
    EXPECT_EQ(answered, 1);
    EXPECT_TRUE(thread.reserve_revisions(1)) << "the next one";
  }
  EXPECT_GT(open_store(folder.path()).contents.first_revision, kRevisionBlock * 9);
}

}  // namespace
}  // namespace svc::registry
