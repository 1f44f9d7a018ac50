// DWARF 5, section 6.4, as the x86-64 ABI and the Linux Standard Base use it in .eh_frame.
//
// Whatever is not understood makes the frame unknown. Signal frames are unknown, too: their return address is not
// behind a call.

#include "platform/frame_rule.h"

#include <cstring>

namespace runnel::platform {

#if defined(__x86_64__)

namespace {

// Of the unwinder: libgcc's, and LLVM's libunwind has it too. Does not lock where the dynamic linker keeps a table of what
// is loaded (glibc 2.35).
struct eh_bases {
  void* text;
  void* data;
  void* function;
};
extern "C" [[gnu::weak]] const void* _Unwind_Find_FDE(void* pc,  // NOLINT: its name
                                                      eh_bases* bases);

constexpr std::uint64_t rbp = 6;
constexpr std::uint64_t rsp = 7;
constexpr std::uint64_t return_column = 16;

class reader {
 public:
  reader(const std::uint8_t* from, const std::uint8_t* end) : at_(from), end_(end) {}

  bool more() const { return ok_ && at_ < end_; }
  bool ok() const { return ok_; }
  const std::uint8_t* at() const { return at_; }

  template <class T>
  T fixed() {
    T value{};
    if (static_cast<std::size_t>(end_ - at_) < sizeof value) {
      ok_ = false;
      return value;
    }
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::uint64_t uleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      auto byte = fixed<std::uint8_t>();
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }
  std::int64_t sleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      auto byte = fixed<std::uint8_t>();
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if ((byte & 0x40) != 0 && shift + 7 < 64) value |= ~std::uint64_t{0} << (shift + 7);
      return static_cast<std::int64_t>(value);
    }
    ok_ = false;
    return 0;
  }
  void skip(std::uint64_t bytes) {
    if (bytes > static_cast<std::uint64_t>(end_ - at_)) {
      ok_ = false;
    } else {
      at_ += bytes;
    }
  }
  // A pointer in one of the encodings DW_EH_PE_*.
  void skip_encoded(std::uint8_t encoding) {
    constexpr std::uint8_t absptr = 0, data2 = 2, data4 = 3, data8 = 4, aligned = 0x50;
    std::uint8_t format = encoding & 0x07;  // signed or not
    if ((encoding & 0x70) == aligned) ok_ = false;
    if (format == data2) return skip(2);
    if (format == data4) return skip(4);
    if (format == absptr || format == data8) return skip(8);
    ok_ = false;
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  bool ok_ = true;
};

// An entry's bytes behind its length.
reader entry(const std::uint8_t* at) {
  std::uint32_t length;
  std::memcpy(&length, at, sizeof length);
  constexpr std::uint32_t wide = 0xffffffff;  // a length of 64 bits follows
  at += sizeof length;
  return {at, at + (length == wide ? 0 : length)};
}

// What is known where.
struct row {
  enum class kind : std::uint8_t { same, at_offset, undefined, other };
  struct place {
    kind what = kind::same;
    std::int64_t offset = 0;  // from the canonical frame address
  };
  bool cfa_is_register = false;
  std::uint64_t cfa_register = 0;
  std::int64_t cfa_offset = 0;
  place frame_pointer;
  place return_address;

  void set(std::uint64_t reg, place p) {
    if (reg == rbp) frame_pointer = p;
    if (reg == return_column) return_address = p;
  }
  void restore(std::uint64_t reg, const row& initial) {
    if (reg == rbp) frame_pointer = initial.frame_pointer;
    if (reg == return_column) return_address = initial.return_address;
  }
};

struct common_information {
  std::uint64_t code_factor = 1;
  std::int64_t data_factor = 1;
  std::uint8_t pointer_encoding = 0;
  bool has_augmentation = false;
  row initial;
};

// Executes instructions up to the row for `target`.
bool execute(reader in, const common_information& common, std::uintptr_t at, std::uintptr_t target,
             row& now) {
  constexpr int remembered_max = 8;
  row remembered[remembered_max];
  int depth = 0;
  auto offset = [&](std::int64_t v) { return row::place{row::kind::at_offset, v}; };
  auto scaled = [&] { return static_cast<std::int64_t>(in.uleb()) * common.data_factor; };
  while (in.more()) {
    auto op = in.fixed<std::uint8_t>();
    std::uint64_t reg = op & 0x3f;
    std::uint64_t advance = 0;
    switch (op & 0xc0) {
      case 0x40: advance = reg; break;
      case 0x80: now.set(reg, offset(scaled())); continue;
      case 0xc0: now.restore(reg, common.initial); continue;
      default: break;
    }
    if (op < 0x40) {
      switch (op) {
        case 0x00: continue;  // nop
        case 0x02: advance = in.fixed<std::uint8_t>(); break;
        case 0x03: advance = in.fixed<std::uint16_t>(); break;
        case 0x04: advance = in.fixed<std::uint32_t>(); break;
        case 0x05:  // offset_extended
          reg = in.uleb();
          now.set(reg, offset(scaled()));
          continue;
        case 0x06: now.restore(in.uleb(), common.initial); continue;
        case 0x07: now.set(in.uleb(), {row::kind::undefined, 0}); continue;
        case 0x08: now.set(in.uleb(), {row::kind::same, 0}); continue;
        case 0x09:  // register
        case 0x14:  // val_offset
          now.set(in.uleb(), {row::kind::other, 0});
          in.uleb();
          continue;
        case 0x0a:  // remember_state
          if (depth == remembered_max) return false;
          remembered[depth++] = now;
          continue;
        case 0x0b:  // restore_state
          if (depth == 0) return false;
          now = remembered[--depth];
          continue;
        case 0x0c:  // def_cfa
          now.cfa_is_register = true;
          now.cfa_register = in.uleb();
          now.cfa_offset = static_cast<std::int64_t>(in.uleb());
          continue;
        case 0x0d:  // def_cfa_register
          now.cfa_is_register = true;
          now.cfa_register = in.uleb();
          continue;
        case 0x0e: now.cfa_offset = static_cast<std::int64_t>(in.uleb()); continue;
        case 0x0f:  // def_cfa_expression
          now.cfa_is_register = false;
          in.skip(in.uleb());
          continue;
        case 0x10:  // expression
        case 0x16:  // val_expression
          now.set(in.uleb(), {row::kind::other, 0});
          in.skip(in.uleb());
          continue;
        case 0x11:  // offset_extended_sf
          reg = in.uleb();
          now.set(reg, offset(in.sleb() * common.data_factor));
          continue;
        case 0x2e: in.uleb(); continue;  // GNU_args_size
        default: return false;
      }
    }
    at += advance * common.code_factor;
    if (at > target) break;
  }
  return in.ok();
}

bool read_common(const std::uint8_t* at, common_information& out) {
  reader in = entry(at);
  in.skip(4);  // its id
  auto version = in.fixed<std::uint8_t>();
  if (version != 1 && version != 3) return false;
  char augmentation[8] = {};
  for (char& c : augmentation) {
    c = static_cast<char>(in.fixed<std::uint8_t>());
    if (c == 0) break;
  }
  if (augmentation[sizeof augmentation - 1] != 0) return false;
  out.code_factor = in.uleb();
  out.data_factor = in.sleb();
  if ((version == 1 ? in.fixed<std::uint8_t>() : in.uleb()) != return_column) return false;
  if (augmentation[0] != 0) {
    if (augmentation[0] != 'z') return false;
    out.has_augmentation = true;
    std::uint64_t length = in.uleb();
    const std::uint8_t* data = in.at();
    for (const char* c = augmentation + 1; *c != 0; ++c) {
      if (*c == 'R') {
        out.pointer_encoding = in.fixed<std::uint8_t>();
      } else if (*c == 'P') {
        in.skip_encoded(in.fixed<std::uint8_t>());
      } else if (*c == 'L') {
        in.skip(1);
      } else {
        return false;  // 'S', a signal's frame, among them
      }
    }
    in.skip(length - static_cast<std::uint64_t>(in.at() - data));
  }
  row initial;
  if (!execute(in, out, 0, 0, initial)) return false;
  out.initial = initial;
  return true;
}

frame_rule simple(const row& r) {
  using base = frame_rule::base;
  constexpr std::int64_t word = 8, most = 1 << 30;
  frame_rule rule;
  if (r.return_address.what == row::kind::undefined) return {base::outermost, 0, 0};
  bool usual = r.return_address.what == row::kind::at_offset && r.return_address.offset == -word &&
               r.cfa_is_register && r.cfa_offset >= word && r.cfa_offset < most;
  if (!usual) return rule;
  if (r.frame_pointer.what == row::kind::at_offset) {
    if (r.frame_pointer.offset > -2 * word || r.frame_pointer.offset < -most) return rule;
    rule.saved = static_cast<std::uint32_t>(-r.frame_pointer.offset);
  } else if (r.frame_pointer.what != row::kind::same) {
    return rule;
  }
  rule.cfa = static_cast<std::uint32_t>(r.cfa_offset);
  if (r.cfa_register == rsp) rule.from = base::stack_pointer;
  if (r.cfa_register == rbp) rule.from = base::frame_pointer;
  return rule;
}

}  // namespace

frame_rule find_frame_rule(std::uintptr_t return_address) noexcept {
  // The row of the call, not of what follows it.
  std::uintptr_t target = return_address - 1;
  eh_bases bases{};
  if (&_Unwind_Find_FDE == nullptr) return {};
  auto* fde = static_cast<const std::uint8_t*>(
      _Unwind_Find_FDE(reinterpret_cast<void*>(target), &bases));  // NOLINT
  if (fde == nullptr) return {};
  reader in = entry(fde);
  const std::uint8_t* link = in.at();
  auto back = in.fixed<std::int32_t>();
  common_information common;
  if (!in.ok() || back == 0 || !read_common(link - back, common)) return {};
  in.skip_encoded(common.pointer_encoding);  // where the function begins: in bases
  in.skip_encoded(common.pointer_encoding & 0x0f);
  if (common.has_augmentation) in.skip(in.uleb());
  row now = common.initial;
  auto begin = reinterpret_cast<std::uintptr_t>(bases.function);
  if (!in.ok() || !execute(in, common, begin, target, now)) return {};
  return simple(now);
}

#else

frame_rule find_frame_rule(std::uintptr_t) noexcept { return {}; }

#endif

}  // namespace runnel::platform
