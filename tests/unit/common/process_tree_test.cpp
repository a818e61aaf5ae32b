#include "common/core/process_tree.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace svc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kRest = " 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 1000000 345 18446744073709551615 1 1\n";

std::string stat_of(const std::string& name) { return "42 (" + name + ") S 7 40 39 34817 42" + std::string(kRest); }

TEST(ProcessStat, Fields_AreRead) {
  const auto facts = parse_process_stat(stat_of("python3"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->pid, 42);
  EXPECT_EQ(facts->parent, 7);
  EXPECT_EQ(facts->group, 40);
  EXPECT_EQ(facts->session, 39);
  EXPECT_EQ(facts->state, 'S');
  EXPECT_EQ(facts->start_ticks, 777U);
  EXPECT_EQ(facts->rss_pages, 345U);
  EXPECT_EQ(facts->threads, 1U);
}

TEST(ProcessStat, ZombieWithThreads_HasNotEnded) {
  ProcessFacts facts;
  EXPECT_FALSE(has_ended(facts));
  facts.state = 'Z';
  EXPECT_TRUE(has_ended(facts));
  facts.threads = 0;
  EXPECT_TRUE(has_ended(facts));
  facts.threads = 2;
  EXPECT_FALSE(has_ended(facts));
  facts.state = 'X';
  EXPECT_TRUE(has_ended(facts));
}

TEST(ProcessStat, NameOfAnyBytes_DoesNotMatter) {
  for (const char* name : {"", "a b", ")", "x) R 1 1 1 (", "((", ") Z 9 9 9", "new\nline"}) {
    const auto facts = parse_process_stat(stat_of(name));
    ASSERT_TRUE(facts) << name;
    EXPECT_EQ(facts->parent, 7) << name;
    EXPECT_EQ(facts->start_ticks, 777U) << name;
  }
}

TEST(ProcessStat, TornText_IsNone) {
  const std::string whole = stat_of("x");
  for (const std::string& text :
       {std::string(), std::string("42"), std::string("42 (x"), std::string("42 (x)"), std::string("x (x) S 1 1 1"),
        whole.substr(0, whole.find("777")), std::string(") 42 (x S"), std::string("42 (x) SS 7 40 39")}) {
    EXPECT_FALSE(parse_process_stat(text)) << text;
  }
}

ProcessFacts process(pid_t pid, pid_t parent) {
  ProcessFacts facts;
  facts.pid = pid;
  facts.parent = parent;
  return facts;
}

std::vector<pid_t> pids_below(const std::vector<ProcessFacts>& all, pid_t root) {
  std::vector<pid_t> pids;
  for (const ProcessFacts& facts : descendants_of(all, root)) pids.push_back(facts.pid);
  return pids;
}

TEST(Descendants, WholeTree_ParentsFirst) {
  // 10 -> 30 -> 20 -> 25: pids say nothing about age after a wrap.
  const std::vector<ProcessFacts> all{process(1, 0),   process(20, 30), process(25, 20),
                                      process(30, 10), process(10, 1),  process(99, 1)};
  EXPECT_THAT(pids_below(all, 10), ElementsAre(30, 20, 25));
  EXPECT_THAT(pids_below(all, 25), IsEmpty());
  EXPECT_THAT(pids_below(all, 4711), IsEmpty());
  EXPECT_EQ(pids_below(all, 1).size(), 5U);
}

TEST(Descendants, CircleOfATornReading_Ends) {
  EXPECT_THAT(pids_below({process(2, 3), process(3, 2), process(4, 4)}, 2), ElementsAre(3));
  EXPECT_THAT(pids_below({process(2, 3), process(3, 2), process(4, 4)}, 1), IsEmpty());
}

TEST(Established, OnlyTheLocalPortInThatState_Counts) {
  const std::string tcp =
      "  sl  local_address rem_address   st tx_queue rx_queue tr\n"
      "   0: 0100007F:1389 00000000:0000 0A 00000000:00000000 00:00000000\n"  // listens on 5001
      "   1: 0100007F:1389 0100007F:D2A4 01 00000000:00000000 00:00000000\n"  // established
      "   2: 0100007F:D2A4 0100007F:1389 01 00000000:00000000 00:00000000\n"  // the other end
      "   3: 0100007F:1389 0100007F:D2A6 06 00000000:00000000 00:00000000\n"  // TIME_WAIT
      "   4: 00000000000000000000000001000000:1389 00000000000000000000000001000000:0001 01 0\n";
  EXPECT_EQ(count_established(tcp, 5001), 2U);
  EXPECT_EQ(count_established(tcp, 5002), 0U);
  EXPECT_EQ(count_established("", 5001), 0U);
  EXPECT_EQ(count_established("heading\ngarbage\n\n  1: x y z", 5001), 0U);
}

TEST(OomKills, CounterIsFoundByItsWholeName) {
  EXPECT_EQ(oom_kill_count("pgfault 3\noom_kill 12\nnr_x 4\n"), 12U);
  EXPECT_EQ(oom_kill_count("low 0\nhigh 0\nmax 5\noom 7\noom_kill 2\noom_group_kill 9\n"), 2U);
  EXPECT_EQ(oom_kill_count("oom_group_kill 9\n"), 0U);
  EXPECT_EQ(oom_kill_count(""), 0U);
}

TEST(Cgroup2, MountAndOwnPath_AreFound) {
  const std::string mounts =
      "25 1 0:23 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory\n"
      "26 1 0:24 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
  EXPECT_EQ(cgroup2_mount(mounts), "/sys/fs/cgroup/unified");
  EXPECT_EQ(cgroup2_mount("25 1 0:23 / /x rw shared:5 master:2 - cgroup2 none rw\n"), "/x");
  EXPECT_EQ(cgroup2_mount("25 1 0:23 / /cgroup2 rw - tmpfs cgroup2 rw\n"), "");
  EXPECT_EQ(cgroup2_mount("garbage\n"), "");
  EXPECT_EQ(cgroup2_path("9:memory:/a\n0::/system.slice/x.service\n"), "/system.slice/x.service");
  EXPECT_EQ(cgroup2_path("0::/"), "/");
  EXPECT_EQ(cgroup2_path("10::/no\n"), "");
}

}  // namespace
}  // namespace svc
