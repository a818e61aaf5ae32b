#include "registry/io/store_log_check.hpp"

#include <bit>
#include <cstdint>

#include "common/io/read_file.hpp"
#include "registry/io/store_schema.hpp"

namespace svc::registry {
namespace {

// sqlite.org/fileformat2.html#walformat
constexpr std::uint32_t kMagic = 0x377f0682;  // the last bit: words of checksums are big-endian
constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kFrameHeadBytes = 24;
constexpr std::uint32_t kSmallestPage = 512;
constexpr std::uint32_t kLargestPage = 65536;
constexpr std::size_t kMaxLogBytes = std::size_t{256} * 1024 * 1024;  // checkpoints keep it at some MiB

std::uint32_t word(std::string_view bytes, std::size_t at, bool big_endian = true) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value = value << 8U | static_cast<unsigned char>(bytes[at + (big_endian ? i : 3 - i)]);
  }
  return value;
}

struct Checksum {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  bool operator==(const Checksum&) const = default;

  static Checksum stored(std::string_view bytes, std::size_t at) { return {word(bytes, at), word(bytes, at + 4)}; }
  void add(std::string_view bytes, bool big_endian) {
    for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      first += word(bytes, at, big_endian) + second;
      second += word(bytes, at + 4, big_endian) + first;
    }
  }
};

}  // namespace

std::string damage_of_log(std::string_view log) {
  // The header is on the disk before the first frame is written.
  if (log.size() < kHeaderBytes + kFrameHeadBytes + kSmallestPage) return {};
  const bool big_endian = (word(log, 0) & 1U) != 0;
  const std::uint32_t page = word(log, 8);
  Checksum sum;
  sum.add(log.substr(0, 24), big_endian);
  if ((word(log, 0) & ~1U) != kMagic || !std::has_single_bit(page) || page < kSmallestPage || page > kLargestPage ||
      sum != Checksum::stored(log, 24)) {
    return "the header of its write-ahead log is damaged";
  }
  // Each frame's checksum goes on from that of the frame before. Behind the first one that does not fit may be the rest
  // of writes that failed or were cut short; each of them ends with its commit at the latest. A commit with frames of
  // another one joined to it was acknowledged.
  const auto salts = log.substr(16, 8);
  bool sound = true;
  int joined_commits = 0;
  for (std::size_t at = kHeaderBytes; at + kFrameHeadBytes + page <= log.size(); at += kFrameHeadBytes + page) {
    const auto head = log.substr(at, kFrameHeadBytes);
    const bool of_this_log = head.substr(8, 8) == salts;  // else a leftover from before the log began anew
    sum.add(head.substr(0, 8), big_endian);
    sum.add(log.substr(at + kFrameHeadBytes, page), big_endian);
    const auto stored = Checksum::stored(head, 16);
    if (!of_this_log || sum != stored) {
      sound = false;
      joined_commits = 0;
    }
    sum = stored;
    if (of_this_log && word(head, 4) != 0) ++joined_commits;
    if (!sound && joined_commits > 1) return "its write-ahead log is damaged before its end";
  }
  return {};
}

void check_log(const std::string& path) {
  const auto log = read_file(path, kMaxLogBytes);
  if (!log) return;  // what cannot be read is SQLite's to report
  if (auto damage = damage_of_log(*log); !damage.empty()) throw DamagedStore(damage);
}

}  // namespace svc::registry
