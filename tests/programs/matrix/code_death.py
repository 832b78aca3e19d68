"""Code comes and goes, and the next one is where the last one was."""

from judge import begin, drop, look, make, tell

begin()
for number in range(300):
    make(f"dead_{number}", count=1 + number % 3)
    if number % 7 == 0:
        drop(f"dead_{number // 2}")
look("half way")
for number in range(100):
    drop(f"dead_{number}")
tell("at the end")
