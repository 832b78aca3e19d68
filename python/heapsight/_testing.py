"""What heapsight's own tests and benchmarks ask of the extension. Not for users: anything here may change or go."""

from heapsight._heapsight import testing_functions as _functions

#: Every live traced block: address, size, number of its allocator domain, and call path, most recent frame first.
get_blocks = _functions.get_blocks
#: Size and call path of the block at exactly this address; None when there is none.
trace_of_address = _functions.trace_of_address
#: Traced bytes in a capture: live at its last tick, and at the peak.
capture_totals = _functions.capture_totals
#: Moves the timer's clock on by so many seconds.
advance_timer = _functions.advance_timer
#: "release" or "debug".
build_profile = _functions.build_profile
#: One line for each thing in the tracer's tables that does not add up.
audit = _functions.audit
#: Traced bytes now and at the peak, and the counters of every call path: number of the domain, (file, line) of each frame, most recent first,  # noqa: E501
#: and (bytes, blocks) allocated, freed, temporary, and live at the peak.
get_counters = _functions.get_counters
#: The same of a capture at its last tick.
capture_counters = _functions.capture_counters
#: Draws every later sample from this seed; None: from another one each time.
fix_sampling_seed = _functions.fix_sampling_seed
#: Live memory of each allocator domain, by its number: bytes and blocks.
get_live_by_domain = _functions.get_live_by_domain
#: The number of the allocator domain of the block at exactly this address; None when there is none.
domain_of_address = _functions.domain_of_address
