#include "ctl/core/check_lines.hpp"

#include <gtest/gtest.h>

namespace svc::ctl {
namespace {

using Verdict = CheckLine::Verdict;

TEST(CheckLines, TextAndSum_SayWhatTheyAre) {
  const std::vector<CheckLine> lines = {{Verdict::good, "port 8081", "free"},
                                        {Verdict::note, "x.json", "nothing reads it"},
                                        {Verdict::bad, "disk", "a\nb"}};
  EXPECT_EQ(check_text(lines[0]), "✓ port 8081: free");
  EXPECT_EQ(check_text(lines[1]), "! x.json: nothing reads it");
  EXPECT_EQ(check_text(lines[2]), "✗ disk: a?b");
  EXPECT_EQ(check_summary(lines), "3 checks, 1 note, 1 bad");
  EXPECT_FALSE(all_good(lines));
  EXPECT_TRUE(all_good({lines[0], lines[1]}));
  EXPECT_EQ(check_summary({}), "0 checks, 0 notes, 0 bad");
}

TEST(JudgeSpace, Bounds_AreOneAndFiveGiB) {
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;
  EXPECT_EQ(judge_space("/x", kGiB - 1).verdict, Verdict::bad);
  EXPECT_EQ(judge_space("/x", kGiB).verdict, Verdict::note);
  EXPECT_EQ(judge_space("/x", 5 * kGiB - 1).verdict, Verdict::note);
  EXPECT_EQ(judge_space("/x", 5 * kGiB).verdict, Verdict::good);
  EXPECT_EQ(judge_space("/x", 5 * kGiB).text, "5.0 GiB free");
}

}  // namespace
}  // namespace svc::ctl
