// An engine's output as bytes, split into lines in pieces. The first byte seeds the pieces' sizes, the second is the
// limit.
#include <cstdint>
#include <string>
#include <vector>

#include "agent/core/engine_lines.hpp"
#include "agent/core/shim_protocol.hpp"
#include "common/core/process_tree.hpp"
#include "tests/fuzz/fuzz_check.hpp"

namespace {

using svc::fuzz::require;

std::vector<std::string> split(std::string_view in, unsigned seed, std::size_t limit) {
  std::vector<std::string> lines;
  svc::agent::LineSplitter splitter(limit);
  const auto each = [&lines](std::string_view line) { lines.emplace_back(line); };
  unsigned state = seed;
  while (!in.empty()) {
    state = state * 1103515245U + 12345U;
    const std::string_view piece = in.substr(0, seed == 0 ? in.size() : 1 + (state >> 16U) % 24);
    in.remove_prefix(piece.size());
    splitter.take(piece, each);
    require(splitter.held() <= limit, "no more is held than the limit");
  }
  splitter.finish(each);
  return lines;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 8192) return 0;
  const std::size_t limit = 1 + data[1];
  const std::string input = svc::fuzz::text_of(data + 2, size - 2);
  const auto whole = split(input, 0, limit);
  require(split(input, data[0], limit) == whole, "pieces give the same lines as the whole");
  svc::agent::LastLines last;
  for (const std::string& line : whole) {
    require(line.find_first_of("\r\n") == std::string::npos, "a line has no line end");
    require(svc::valid_utf8(line) == line, "a line is UTF-8");
    require(line.size() <= 4 * limit + 5, "a line is bounded");
    const auto port = svc::agent::listening_port(line);
    require(!port || *port != 0, "0 is no port");
    last.add(line);
    require(svc::valid_utf8(last.last()) == last.last() && last.last().size() <= 512, "a last line is UTF-8 and short");
  }
  // The other texts that come from outside.
  (void)svc::agent::decode_order(input);
  (void)svc::agent::decode_report(input);
  (void)svc::parse_process_stat(input);
  (void)svc::count_established(input, 80);
  (void)svc::cgroup2_mount(input);
  return 0;
}
