#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "router/io/wait_queues.hpp"
#include "tests/support/moments.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using Ticket = WaitQueues::Ticket;
using Joined = WaitQueues::Joined;

using test::kStart;

QueueSettings bound(std::size_t max_waiting) { return {max_waiting, 30s}; }

struct QueueSubject {
  WaitQueues queues{bound(3)};
  std::vector<std::string> woken;

  WaitQueues::Wake wake(std::string name) {
    return [this, name = std::move(name)](WaitQueues::Call call) {
      woken.push_back(call == WaitQueues::Call::displaced ? name + " displaced" : name);
    };
  }
  Ticket join(std::string_view model, const std::string& name) {
    Ticket ticket;
    EXPECT_EQ(queues.join(model, kStart, wake(name), ticket), Joined::waiting);
    return ticket;
  }
  std::vector<std::string> taken() { return std::exchange(woken, {}); }
};

using Names = std::vector<std::string>;

TEST(RouterWaitQueues, FirstCome_FirstWoken) {
  QueueSubject s;
  const Ticket a = s.join("m", "a");
  s.join("m", "b");
  EXPECT_EQ(a.model, "m");
  EXPECT_EQ(a.since, kStart);
  EXPECT_EQ(s.queues.waiting("m"), 2U);
  s.queues.slot_freed("m");
  EXPECT_EQ(s.taken(), Names{"a"});
  s.queues.slot_freed("m");
  EXPECT_EQ(s.taken(), Names{});  // "a" is on its way: nobody may overtake it
  s.queues.count_served("m", kStart);
  EXPECT_EQ(s.taken(), Names{"b"});
  EXPECT_EQ(s.queues.waiting_in_all(), 0U);
  s.queues.count_served("m", kStart);
  s.queues.slot_freed("m");
  EXPECT_EQ(s.taken(), Names{});
}

TEST(RouterWaitQueues, Full_RefusesPerModel) {
  QueueSubject s;
  for (const char* name : {"a", "b", "c"}) s.join("m", name);
  Ticket ticket;
  EXPECT_EQ(s.queues.join("m", kStart, s.wake("d"), ticket), Joined::full);
  s.join("other", "e");
  s.queues.reconfigure(bound(0));
  EXPECT_EQ(s.queues.join("third", kStart, s.wake("f"), ticket), Joined::full);
  EXPECT_EQ(s.queues.waiting_in_all(), 4U);
  s.queues.slot_freed("m");
  EXPECT_EQ(s.taken(), Names{"a"});
}

TEST(RouterWaitQueues, OtherModels_AreNotWoken) {
  QueueSubject s;
  s.join("m", "a");
  s.queues.slot_freed("n");
  EXPECT_EQ(s.taken(), Names{});
  s.queues.slot_freed_any();
  EXPECT_EQ(s.taken(), Names{"a"});
}

TEST(RouterWaitQueues, RequestsWithoutModel_TakeAnyInstance) {
  QueueSubject s;
  s.join("", "any");
  s.join("m", "a");
  s.queues.slot_freed("m");
  EXPECT_EQ(s.taken(), (Names{"a", "any"}));
  s.join("", "any");
  s.join("m", "b");
  s.join("n", "c");
  s.taken();  // "any" is told of the room of before
}

TEST(RouterWaitQueues, Full_ByOneKey_IsNotFullForAnother) {
  QueueSubject s;
  const auto join = [&s](const char* name, std::uint64_t owner, Priority priority = Priority::standard) {
    Ticket ticket;
    return s.queues.join("m", kStart, s.wake(name), ticket, {.priority = priority, .owner = owner});
  };
  for (const char* name : {"a1", "a2", "a3"}) EXPECT_EQ(join(name, 7), Joined::waiting);
  EXPECT_EQ(join("a4", 7), Joined::full);
  EXPECT_EQ(join("b1", 8), Joined::waiting);
  EXPECT_EQ(s.taken(), Names{"a3 displaced"});
  EXPECT_EQ(join("b2", 8), Joined::full) << "two and one are as fair as one and two";
  EXPECT_EQ(join("batch", 9, Priority::batch), Joined::full);
  EXPECT_EQ(s.taken(), Names{});
  EXPECT_EQ(join("now", 7, Priority::interactive), Joined::waiting);
  EXPECT_EQ(s.taken(), Names{"a2 displaced"});
  EXPECT_EQ(s.queues.waiting("m"), 3U);
  EXPECT_EQ(s.queues.waiting_in_all(), 3U);
}

TEST(RouterWaitQueues, SlotFreedAny_WakesEveryHead) {
  QueueSubject s;
  for (const char* model : {"m", "n", ""}) {
    s.join(model, std::string(model) + "1");
    s.join(model, std::string(model) + "2");
  }
  s.queues.slot_freed("");
  auto names = s.taken();
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (Names{"1", "m1", "n1"}));
}

TEST(RouterWaitQueues, WokenInVain_KeepsItsPlace) {
  QueueSubject s;
  const Ticket a = s.join("m", "a");
  s.join("m", "b");
  s.join("m", "c");
  s.queues.slot_freed("m");
  EXPECT_EQ(s.taken(), Names{"a"});
  Ticket late;
  EXPECT_EQ(s.queues.join("m", kStart, s.wake("d"), late), Joined::full) << "a is on its way, and may come back";
  s.queues.rejoin_front(a, s.wake("a"));
  EXPECT_EQ(s.queues.waiting("m"), 3U);
  EXPECT_EQ(s.taken(), Names{});
  Names order;
  s.queues.slot_freed("m");
  for (int i = 0; i < 3; ++i) {
    for (const auto& name : s.taken()) order.push_back(name);
    s.queues.count_served("m", kStart);
  }
  EXPECT_EQ(order, (Names{"a", "b", "c"}));
}

TEST(RouterWaitQueues, PassedOn_TheNextOneLooksAndTheOrderStays) {
  QueueSubject s;
  Ticket picky;
  EXPECT_EQ(s.queues.join("m", kStart, s.wake("picky"), picky, {.picky = true}), Joined::waiting);
  EXPECT_FALSE(s.queues.others_first("m"));
  s.join("m", "b");
  EXPECT_TRUE(s.queues.others_first("m"));
  s.queues.slot_freed("m");
  EXPECT_EQ(s.taken(), Names{"picky"});
  s.queues.rejoin_front(picky, s.wake("picky"), true);
  EXPECT_EQ(s.taken(), Names{"b"});
  s.queues.count_served("m", kStart);
  EXPECT_EQ(s.taken(), Names{"picky"});
}

TEST(RouterWaitQueues, Nobody_IsSaidOnce_AndNotOfThoseWhoFailedBefore) {
  using Place = WaitOrder::Place;
  QueueSubject s;
  s.queues.reconfigure(bound(10));
  std::size_t asked = 0;
  const auto shut = [&asked] { return ++asked, Place::nobody; };
  for (int i = 0; i < 5; ++i) {
    Ticket ticket;
    s.queues.join("m", kStart, s.wake("held"), ticket, {.ready = shut});
  }
  asked = 0;
  s.queues.slot_freed("m");
  EXPECT_EQ(asked, 1U);
  Ticket picky;
  s.queues.join("m", kStart, s.wake("picky"), picky, {.picky = true, .ready = [] { return Place::yes; }});
  s.queues.slot_freed("m");
  EXPECT_EQ(s.taken(), Names{"picky"});
}

TEST(RouterWaitQueues, RoomWhileNobodyWaited_WakesWhoJoins) {
  QueueSubject s;
  s.queues.slot_freed("m");
  const Ticket a = s.join("m", "a");
  EXPECT_EQ(s.taken(), Names{"a"});
  s.queues.rejoin_front(a, s.wake("a"));
  EXPECT_EQ(s.taken(), Names{});  // once is enough
  EXPECT_EQ(s.queues.waiting("m"), 1U);
}

TEST(RouterWaitQueues, RoomBetweenWakeAndRejoin_WakesAgain) {
  QueueSubject s;
  const Ticket a = s.join("m", "a");
  s.queues.slot_freed("m");
  EXPECT_EQ(s.taken(), Names{"a"});
  s.queues.slot_freed("m");
  s.queues.rejoin_front(a, s.wake("a"));
  EXPECT_EQ(s.taken(), Names{"a"});
}

TEST(RouterWaitQueues, Served_LetsTheNextOneLook) {
  QueueSubject s;
  s.queues.slot_freed("m");
  s.queues.slot_freed("m");  // two places
  const Ticket a = s.join("m", "a");
  const Ticket b = s.join("m", "b");
  EXPECT_EQ(s.taken(), Names{"a"});
  s.queues.count_served("m", kStart);
  EXPECT_EQ(s.taken(), Names{"b"});
}

TEST(RouterWaitQueues, Leave_TellsWhetherTheTurnWasGiven) {
  QueueSubject s;
  const Ticket a = s.join("m", "a");
  const Ticket b = s.join("m", "b");
  EXPECT_TRUE(s.queues.leave(a));
  EXPECT_FALSE(s.queues.leave(a));
  EXPECT_EQ(s.queues.waiting_in_all(), 1U);
  s.queues.slot_freed("m");
  EXPECT_EQ(s.taken(), Names{"b"});
  EXPECT_FALSE(s.queues.leave(b));
  EXPECT_FALSE(s.queues.leave(Ticket{"unknown", 7, kStart}));
  EXPECT_EQ(s.queues.waiting_in_all(), 0U);
}

TEST(RouterWaitQueues, Wake_MayCallBackIn) {
  WaitQueues queues(bound(3));
  Ticket ticket;
  Ticket other;
  queues.join(
      "m", kStart,
      [&](WaitQueues::Call) {
        queues.join(
            "m", kStart, [](WaitQueues::Call) {}, other);
      },
      ticket);
  queues.slot_freed("m");
  EXPECT_EQ(queues.waiting("m"), 1U);
}

TEST(RouterWaitQueues, AWokenRequest_KeepsItsPlaceUntilItIsServed) {
  WaitQueues queues(bound(1));
  queues.slot_freed("m");  // before it came: it is woken at once to look, and finds nothing
  int woken = 0;
  Ticket first;
  Ticket second;
  ASSERT_EQ(queues.join(
                "m", kStart, [&](WaitQueues::Call) { ++woken; }, first),
            WaitQueues::Joined::waiting);
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(queues.join(
                "m", kStart, [](WaitQueues::Call) {}, second),
            WaitQueues::Joined::full);
  queues.rejoin_front(
      first, [](WaitQueues::Call) {}, false);
  EXPECT_EQ(queues.join(
                "m", kStart, [](WaitQueues::Call) {}, second),
            WaitQueues::Joined::full);
  EXPECT_EQ(queues.waiting("m"), 1U);
  queues.slot_freed("m");
  queues.count_served("m", kStart);
  EXPECT_EQ(queues.join(
                "m", kStart, [](WaitQueues::Call) {}, second),
            WaitQueues::Joined::waiting);
}

TEST(RouterWaitQueues, RetryAfter_IsThoseWaitingOverTheRate) {
  WaitQueues queues(bound(1000));
  EXPECT_EQ(queues.retry_after("m", kStart), 1U);
  std::deque<Ticket> tickets(100);
  for (Ticket& ticket : tickets)
    queues.join(
        "m", kStart, [](WaitQueues::Call) {}, ticket);
  EXPECT_EQ(queues.retry_after("m", kStart), 1U);  // none was served yet
  for (int i = 0; i < 600; ++i) {
    Ticket ticket;
    queues.join(
        "m", kStart, [](WaitQueues::Call) {}, ticket);
    queues.count_served("m", kStart + i * 100ms);  // wakes one, so that 100 stay
  }
  const auto seconds = queues.retry_after("m", kStart + 60s);
  EXPECT_GE(seconds, 9U);
  EXPECT_LE(seconds, 12U);
  EXPECT_GT(queues.retry_after("m", kStart + 90s), 20U);  // nothing more was served
  EXPECT_EQ(queues.retry_after("m", kStart + 1h), 60U);
}

// Threads take and free slots of one model as the router does; nobody may wait while a slot is free.
TEST(RouterWaitQueues, Threads_NoTurnIsLost) {
  constexpr int kSlots = 3;
  constexpr int kThreads = 4;
  constexpr int kRequests = 3000;
  WaitQueues queues(bound(1000));
  std::atomic<int> in_flight{0};
  std::atomic<int> served{0};
  const auto pick = [&] {
    for (int now = in_flight.load(); now < kSlots;) {
      if (in_flight.compare_exchange_weak(now, now + 1)) return true;
    }
    return false;
  };
  const auto finish = [&] {
    in_flight.fetch_sub(1);
    served.fetch_add(1);
    queues.slot_freed("m");
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mutex lock;  // a loop's inbox
      std::vector<std::size_t> inbox;
      std::vector<Ticket> tickets(kRequests);
      const auto wake_of = [&](std::size_t i) {
        return [&, i](WaitQueues::Call) {
          const std::lock_guard guard(lock);
          inbox.push_back(i);
        };
      };
      std::size_t open = 0;
      std::size_t next = 0;
      std::size_t held = 0;  // slots in use
      while (next < tickets.size() || open > 0 || held > 0) {
        if (next < tickets.size() && open < 8) {
          const std::size_t i = next++;
          if (pick()) {
            ++held;
          } else {
            ++open;
            ASSERT_EQ(queues.join("m", kStart, wake_of(i), tickets[i]), Joined::waiting);
            if ((i + static_cast<std::size_t>(t)) % 7 == 0) {  // gives up
              if (queues.leave(tickets[i])) {
                --open;
                served.fetch_add(1);
              }
            }
          }
        }
        std::vector<std::size_t> woken;
        {
          const std::lock_guard guard(lock);
          woken.swap(inbox);
        }
        if (woken.empty()) std::this_thread::yield();
        if (held > 0) {
          --held;
          finish();
        }
        for (const std::size_t i : woken) {
          if (pick()) {
            --open;
            ++held;
            queues.count_served("m", kStart);
          } else {
            queues.rejoin_front(tickets[i], wake_of(i));
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();  // a lost turn would hang here, and the test's time limit end it
  EXPECT_EQ(served.load(), kThreads * kRequests);
  EXPECT_EQ(in_flight.load(), 0);
  EXPECT_EQ(queues.waiting_in_all(), 0U);
}

}  // namespace
}  // namespace svc::router
