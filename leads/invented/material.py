"""Invented people, words and numbers for the demo and load tests, dealt out as unevenly as in life. Pure."""
# ruff: noqa: SIM905 - as lists of quoted names they would be a hundred lines

import random
from bisect import bisect
from collections.abc import Hashable, Iterator, Mapping
from itertools import accumulate
from typing import Generic, TypeVar

from followups.catalogue import CALL_BACK, CODES, MODELS, UNTOUCHED

T = TypeVar("T", bound=Hashable)

BRANCHES = (
    "SOMAJIGUDA",
    "ATTAPUR",
    "KOMPALLY",
    "MALAKPET",
    "SRINAGAR COLONY",
    "TOLICHOWKI",
    "VANASTHALIPURAM",
)

FIRST_NAMES = tuple(
    "Aarav Abdul Aditya Ajay Akhila Amala Anil Anitha Anjali Arif Arjun Aruna Asma Bhavana Bhaskar "
    "Chaitanya Charan Deepa Deepak Divya Fahad Farah Ganesh Gayatri Girish Harini Harish Haseena Imran "
    "Indira Jagan Jaya Joseph Jyothi Kalyan Kamala Karthik Kavitha Keerthi Khaja Krishna Lakshmi Lalitha "
    "Lavanya Madhavi Mahesh Mallika Manoj Mary Meena Mohan Mounika Mujeeb Murali Nagesh Nandini Naresh "
    "Naveen Nazia Nikhil Padma Pavan Pooja Prakash Pranav Prasad Prathima Priya Rahul Rajesh Rajitha "
    "Ramya Rashmi Ravinder Rekha Rohit Sadiq Sai Salma Sameer Sandhya Sanjay Santosh Saritha Satish "
    "Shabana Shankar Shirisha Shiva Sneha Sravani Srinivas Sudha Suman Sunita Suresh Swapna Swathi Tarun "
    "Thomas Uma Usha Vamsi Vani Varun Vasanth Venkat Vidya Vijaya Vikram Vinay Yadagiri Yamini Yusuf "
    "Zeenat".split()
)
SURNAMES = tuple(
    "Achari Ahmed Ali Anand Babu Begum Bhat Chary Chowdary Das David Deshmukh Fernandes Gandhi Goud Gupta "
    "Hussain Iyer Jain Joshi Kamath Khan Konda Kulkarni Kumar Mehta Menon Mirza Mohammed Mudiraj Murthy "
    "Naidu Naik Nair Parveen Patel Pillai Prasad Qureshi Raju Rangaswamy Rao Rathod Reddy Samuel Sastry "
    "Sen Shah Sharma Shetty Siddiqui Singh Srivastava Subbaiah Sultana Swamy Thakur Varghese "
    "Varma Yadav".split()
)

# How calls end, in parts of a hundred or so. A closing outcome is the rarer, the earlier the call.
AT_CAPTURE = {
    "RNR": 20, "Busy on another Call": 7, CALL_BACK: 12, "Call Disconnected": 4, "Interested": 42,
    "Customer Visited Experience Centre": 3, "Booked": 0.6, "Retailed": 0.3, "Not Interested": 5,
    "Did Not Inquire": 1.6, "Wrong Number": 1.5, "Lost to Competition": 0.8, "Lost to Co Dealer": 0.4,
}  # fmt: skip
CRE_FIRST = {
    "RNR": 26, "Busy on another Call": 8, CALL_BACK: 12, "Call Disconnected": 4, "Interested": 30,
    "Not Interested": 10, "Did Not Inquire": 3, "Wrong Number": 3, "Lost to Competition": 2,
    "Lost to Co Dealer": 1, "Out of Station": 1,
}  # fmt: skip
CRE_LATER = {
    "RNR": 17, "Busy on another Call": 6, CALL_BACK: 8, "Call not Connected": 4, "Test Drive": 7,
    "Discount Issue": 4, "Delayed": 6, "Talked to PS": 10, "Booked": 5, "Retailed": 5, "Not Interested": 11,
    "Lost to Competition": 6, "Lost to Co Dealer": 2, "Out of Station": 1, "Finance Rejected": 2,
    "Dropped": 6,
}  # fmt: skip
BY_PS = {
    "RNR": 14, "Busy on another Call": 5, CALL_BACK: 7, "Call Disconnected": 2, "Call not Connected": 2,
    "Interested": 11, "Test Drive": 10, "Discount Issue": 4, "Delayed": 4, "Planning in Next Month": 3,
    "Booked": 9, "Retailed": 7, "Booked with another number": 1, "Not Interested": 9,
    "Lost to Competition": 6, "Lost to Co Dealer": 2, "Finance Rejected": 3, "Dropped": 6,
}  # fmt: skip
# A repeat leaves the lead's status alone, so it is one of the calls that leave a lead open.
ON_REPEAT = {"Interested": 55, CALL_BACK: 20, "RNR": 15, "Busy on another Call": 10}

CATEGORIES = {"Hot": 30, "Warm": 48, "Cold": 22}
MODEL_WEIGHTS = dict(zip(MODELS, (9, 4, 11, 8, 3, 14, 10, 5, 9, 10, 5, 7, 5), strict=True))
PAIRS = {
    ("META", "Meta Know"): 24, ("META", "Meta"): 21, ("GOOGLE", "Google Know"): 17, ("BTL", "BTL Know"): 8,
    ("OEM", "Web"): 14, ("OEM", "Tele"): 7, ("OEM", "Affiliate Bikewale"): 5,
    ("OEM", "Affiliate Bikedekho"): 3, ("OEM", "Affiliate 91 Wheels"): 1,
}  # fmt: skip
CAMPAIGNS = (
    "Rizta family weekend",
    "450 Apex test rides",
    "Exchange mela",
    "Zero down payment",
    "Festive offer",
)

REMARKS: dict[str, tuple[str, ...]] = {
    "RNR": ("", "Rang twice, no reply.", "No answer, sent a message."),
    "Busy on another Call": ("", "Busy, will try after lunch."),
    CALL_BACK: (
        "In a meeting, call in the evening.",
        "Driving, asked to call back.",
        "Call after 6, please.",
    ),
    "Call Disconnected": ("", "Line dropped, could hardly hear.", "Cut after hello."),
    "Call not Connected": ("", "Switched off.", "Out of coverage."),
    "Interested": (
        "Asked for the on-road price and the EMI.",
        "Wants the range for 40 km a day.",
        "Comparing with the petrol scooter at home.",
        "Family of four, asked about the boot space.",
        "Asked if a charger can be fitted in the apartment.",
    ),
    "Customer Visited Experience Centre": ("Saw the scooter at the showroom on Sunday.",),
    "Test Drive": (
        "Rode with his wife on the pillion, liked it.",
        "Test ride at the showroom, asked for the price after exchange.",
        "Rode it at home, wants a day to think.",
    ),
    "Discount Issue": ("Got a better price quoted elsewhere.", "Waits for the exchange bonus."),
    "Delayed": (
        "Salary comes next week.",
        "Deciding after the function at home.",
        "Waits for the white one.",
    ),
    "Talked to PS": ("PS has sent the quotation.", "PS met the customer, loan papers in progress."),
    "Planning in Next Month": ("After the festival.", "When the old scooter is sold."),
    "Booked": ("Paid the booking amount.", "Booked, finance approved."),
    "Retailed": ("Delivered with all accessories.", "Vehicle handed over."),
    "Booked with another number": ("Booked on the brother's number.",),
    "Not Interested": ("Was only looking.", "Bought a car instead.", "No plan to buy now."),
    "Did Not Inquire": ("Says that nobody at home asked.", "Touched the advertisement by mistake."),
    "Wrong Number": ("Not this person.",),
    "Lost to Competition": ("Took another electric scooter, lower price.", "Booked a petrol scooter."),
    "Lost to Co Dealer": ("Booked with the dealer near the office.",),
    "Out of Station": ("Moved to another town.", "Works abroad until next year."),
    "Finance Rejected": ("Loan was refused, no second applicant.",),
    "Dropped": ("No answer for weeks.", "Plan given up."),
}

# Why a supervisor opens a closed lead again, by how it had been closed.
REOPENED = {
    "Won": ("Booking was cancelled, wants another model.", "Closed by mistake, only asked for the booking form."),
    "Lost": ("Called the showroom again, wants a quotation.", "Loan is approved after all.", "Closed by mistake."),
}

NUMBERS = 1_000_000_000  # +91 9xxx xxx xxx: every one of them is a valid Indian mobile number
_STRIDE = 618_033_989  # has no divisor in common with NUMBERS, so that every number comes once


class Deck(Generic[T]):
    """Things that are drawn as often as they weigh."""

    def __init__(self, weights: Mapping[T, float]) -> None:
        self.things = list(weights)
        self._sums = list(accumulate(weights.values()))

    def draw(self, chance: random.Random) -> T:
        return self.things[bisect(self._sums, chance.random() * self._sums[-1])]


def unequal(things: list[T], chance: random.Random) -> Deck[T]:
    """A deck in which a few come up very often and most seldom, whichever those are."""
    shuffled = chance.sample(things, len(things))
    return Deck({thing: 1 / (place + 2) ** 0.9 for place, thing in enumerate(shuffled)})


def mobile_numbers(chance: random.Random) -> Iterator[str]:
    """Indian mobile numbers in E.164, in no visible order, none twice."""
    place = chance.randrange(NUMBERS)
    for _ in range(NUMBERS):
        place = (place + _STRIDE) % NUMBERS
        yield f"+919{place:09d}"


def mobile_number(chance: random.Random) -> str:
    return f"+919{chance.randrange(NUMBERS):09d}"


def typed(e164: str, chance: random.Random) -> str:
    """An Indian number as somebody may have typed it."""
    number = e164[3:]
    return chance.choice((number, number, number, f"{number[:5]} {number[5:]}", f"0{number}", f"+91 {number}"))


def full_name(chance: random.Random) -> str:
    return f"{chance.choice(FIRST_NAMES)} {chance.choice(SURNAMES)}"


def surname(chance: random.Random) -> str:
    return chance.choice(SURNAMES)


def remark(status: str, chance: random.Random) -> str:
    return chance.choice(REMARKS[status])


def speakable() -> set[str]:
    """The statuses that somebody picks, each of which has its remarks here."""
    return set(CODES) - {UNTOUCHED, "Lead Already Assigned"}
